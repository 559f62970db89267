import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  campaignChunkPlannedV1,
  campaignDeliverySettledV1,
  campaignRunTriggeredV1,
  inboxDeliveryRequestedV1,
  newUuid,
  encodeId,
} from '#contracts';
import { RecordSubjectUnknownError } from '#event-log';
import { createTestDatabase, FixedClock, waitFor, type TestDatabase } from '#testing';
import { DeliveryReportMismatchError, RunNotFoundError, RunStateConflictError } from './campaigns.errors.js';
import { RUN_STATES } from './run-state.js';
import { Pipeline } from './testing/pipeline.js';

describe('a run', () => {
  let test: TestDatabase;
  let clock: FixedClock;
  let pipeline: Pipeline;

  beforeAll(async () => {
    test = await createTestDatabase();
    await new Pipeline(test.database, new FixedClock()).standIn.prepare();
  });
  afterAll(() => test.close());
  beforeEach(() => {
    clock = new FixedClock();
    pipeline = new Pipeline(test.database, clock);
  });

  it('has the states that the table allows, no more and no less', async () => {
    const [row] = await test.database.query<{ definition: string }>({
      text: `SELECT pg_get_constraintdef(oid) AS definition FROM pg_constraint WHERE conname = 'run_state'`,
    });
    const allowed = [...(row?.definition.matchAll(/'(\w+)'/g) ?? [])].map((match) => match[1]);
    expect(new Set(allowed)).toEqual(new Set(RUN_STATES));
  });

  it('counts everybody exactly: delivered, and skipped by reason', async () => {
    await pipeline.standIn.seedSubscribers(pipeline.environmentId, 2_345);
    const runId = await pipeline.trigger({ all: true });
    await pipeline.drain();
    expect(await pipeline.read(runId)).toMatchObject({
      state: 'finished',
      planned_recipients: 2_345,
      progress: 1,
      counts: { targeted: 2_345, delivered: 2_111, skipped: 234, skipped_by_reason: { unsubscribed: 234 }, failed: 0, pending: 0 },
      counts_by_channel: { inbox: { targeted: 2_345, delivered: 2_111 } },
    });
    expect(await pipeline.standIn.countMessages(pipeline.environmentId)).toBe(2_111);
  });

  it('addresses exactly those who fulfil the rule, and nobody of another environment', async () => {
    await pipeline.standIn.seedSubscribers(pipeline.environmentId, 500);
    await pipeline.standIn.seedSubscribers(newUuid(), 500);
    const runId = await pipeline.trigger({ rule: { attribute: 'even', operator: 'equals', value: true } });
    await pipeline.drain();
    expect((await pipeline.read(runId)).counts).toMatchObject({ targeted: 250, delivered: 200, skipped: 50 });
  });

  it('shows its progress in between: what waits for fan-out counts as pending', async () => {
    await pipeline.standIn.seedSubscribers(pipeline.environmentId, 1_500);
    const runId = await pipeline.trigger({ all: true });
    expect(await pipeline.read(runId)).toMatchObject({ state: 'triggered', planned_recipients: null, chunks: null, progress: 0 });
    await pipeline.handle(pipeline.take(campaignRunTriggeredV1));
    expect(await pipeline.read(runId)).toMatchObject({
      state: 'running',
      counts: { targeted: 1_500, pending: 1_500 },
      chunks: { planned: 2, fanned_out: 0, settled: 0 },
    });
    const [first, second] = pipeline.take(campaignChunkPlannedV1);
    await pipeline.handle([first].filter((record) => record !== undefined));
    expect((await pipeline.read(runId)).counts).toMatchObject({ targeted: 1_500, skipped: 100, pending: 1_400 });
    await pipeline.drain();
    clock.advance(1_000);
    expect(await pipeline.read(runId)).toMatchObject({
      counts: { targeted: 1_500, delivered: 900, skipped: 100, pending: 500 },
      chunks: { planned: 2, fanned_out: 1, settled: 1 },
      progress: 0.6666,
      rate_per_second: 1_000,
      eta_seconds: 1,
    });
    await pipeline.handle([second].filter((record) => record !== undefined));
    await pipeline.drain();
    expect(await pipeline.read(runId)).toMatchObject({ state: 'finished', counts: { delivered: 1_350, pending: 0 }, chunks: null });
  });

  it('is finished at once when nobody matches', async () => {
    const runId = await pipeline.trigger({ all: true });
    await pipeline.drain();
    expect(await pipeline.read(runId)).toMatchObject({
      state: 'finished',
      planned_recipients: 0,
      progress: 1,
      counts: { targeted: 0, pending: 0 },
    });
  });

  it('is finished when its whole audience left between planning and fan-out', async () => {
    await pipeline.standIn.seedSubscribers(pipeline.environmentId, 20);
    const runId = await pipeline.trigger({ all: true });
    await pipeline.handle(pipeline.take(campaignRunTriggeredV1));
    await pipeline.standIn.removeSubscribers(pipeline.environmentId);
    await pipeline.drain();
    expect(await pipeline.read(runId)).toMatchObject({ state: 'finished', planned_recipients: 20, counts: { targeted: 0, pending: 0 } });
  });

  it('leaves nobody out when a chunk grew beyond one batch after it was planned', async () => {
    await pipeline.standIn.seedSubscribers(pipeline.environmentId, 12_000);
    await pipeline.standIn.setAttribute(pipeline.environmentId, 'vip', false);
    const [subscriber] = await test.database.query<{ external_id: string }>({
      text: 'SELECT external_id FROM subscribers.subscriber WHERE environment_id = $1 ORDER BY id DESC LIMIT 1',
      values: [pipeline.environmentId],
    });
    const { external_id: last = '' } = subscriber ?? {};
    const runId = await pipeline.trigger({
      rule: {
        any: [
          { attribute: 'vip', operator: 'equals', value: true },
          { field: 'external_id', operator: 'equals', value: last },
        ],
      },
    });
    await pipeline.handle(pipeline.take(campaignRunTriggeredV1));
    expect(await pipeline.read(runId)).toMatchObject({ planned_recipients: 1, chunks: { planned: 1 } });
    await pipeline.standIn.setAttribute(pipeline.environmentId, 'vip', true);
    await pipeline.drain();
    expect(await pipeline.read(runId)).toMatchObject({
      state: 'finished',
      counts: { targeted: 12_000, delivered: 10_800, skipped: 1_200 },
    });
  });

  it('keeps the rule of its trigger when the segment changes or goes', async () => {
    await pipeline.standIn.seedSubscribers(pipeline.environmentId, 100);
    const segment = await pipeline.segments.insert(pipeline.environmentId, {
      name: 'even',
      rule: { attribute: 'even', operator: 'equals', value: true },
    });
    const runId = await pipeline.trigger({ segment_id: encodeId('segment', segment.id) });
    await pipeline.segments.remove(pipeline.environmentId, segment.id);
    await pipeline.drain();
    expect((await pipeline.read(runId)).counts.targeted).toBe(50);
  });

  it('counts as expired who was not reached within the time to live', async () => {
    await pipeline.standIn.seedSubscribers(pipeline.environmentId, 1_500);
    const runId = await pipeline.trigger({ all: true }, 60);
    await pipeline.handle(pipeline.take(campaignRunTriggeredV1));
    const [first] = pipeline.take(campaignChunkPlannedV1).slice(0, 1);
    const rest = pipeline.take();
    await pipeline.handle(first === undefined ? [] : [first]);
    clock.advance(60_000);
    await pipeline.handle([...pipeline.take(), ...rest]);
    await pipeline.drain();
    await pipeline.control.resume(pipeline.environmentId, runId);
    clock.advance(3_600_000);
    await pipeline.reconcileRuns.reconcile(60_000);
    await pipeline.drain();
    expect(await pipeline.read(runId)).toMatchObject({
      state: 'finished',
      counts: { targeted: 1_500, delivered: 0, expired: 1_350, skipped: 150 },
    });
    expect(await pipeline.standIn.countMessages(pipeline.environmentId)).toBe(0);
  });

  it('refuses a report that does not add up, and applies the others of the same batch', async () => {
    await pipeline.standIn.seedSubscribers(pipeline.environmentId, 1_500);
    const runId = await pipeline.trigger({ all: true });
    await pipeline.handle(pipeline.take(campaignRunTriggeredV1));
    await pipeline.handle(pipeline.take(campaignChunkPlannedV1));
    await pipeline.handle(pipeline.take(inboxDeliveryRequestedV1));
    const reports = pipeline
      .take(campaignDeliverySettledV1)
      .map((record) => campaignDeliverySettledV1.schema.parse(record.event))
      .map((report, index) => (index === 0 ? { ...report, delivered: report.delivered + 1 } : report));
    await expect(pipeline.tallyDelivery.tally(reports)).rejects.toBeInstanceOf(DeliveryReportMismatchError);
    expect((await pipeline.read(runId)).counts).toMatchObject({ delivered: 450, pending: 900 });
  });

  it('answers foreign and unknown ids alike', async () => {
    await pipeline.standIn.seedSubscribers(pipeline.environmentId, 5);
    const runId = await pipeline.trigger({ all: true });
    const stranger = newUuid();
    for (const id of [runId, newUuid()]) {
      await expect(pipeline.readRuns.read(stranger, id)).rejects.toBeInstanceOf(RunNotFoundError);
      await expect(pipeline.control.pause(stranger, id)).rejects.toBeInstanceOf(RunNotFoundError);
      await expect(pipeline.control.resume(stranger, id)).rejects.toBeInstanceOf(RunNotFoundError);
      await expect(pipeline.control.cancel(stranger, id)).rejects.toBeInstanceOf(RunNotFoundError);
    }
    await expect(pipeline.planRun.plan({ environmentId: stranger, runId })).rejects.toBeInstanceOf(RecordSubjectUnknownError);
    expect((await pipeline.read(runId)).state).toBe('triggered');
  });

  describe('pause and resume', () => {
    it('hold a run that is not planned yet', async () => {
      await pipeline.standIn.seedSubscribers(pipeline.environmentId, 30);
      const runId = await pipeline.trigger({ all: true });
      await pipeline.control.pause(pipeline.environmentId, runId);
      await pipeline.drain();
      expect(await pipeline.read(runId)).toMatchObject({ state: 'paused', planned_recipients: null });
      await pipeline.control.resume(pipeline.environmentId, runId);
      expect((await pipeline.read(runId)).state).toBe('triggered');
      await pipeline.drain();
      expect(await pipeline.read(runId)).toMatchObject({ state: 'finished', counts: { delivered: 27 } });
    });

    it('hold chunks and batches, and go on with exactly what is left', async () => {
      await pipeline.standIn.seedSubscribers(pipeline.environmentId, 3_000);
      const runId = await pipeline.trigger({ all: true });
      await pipeline.handle(pipeline.take(campaignRunTriggeredV1));
      const [done, requested, planned] = pipeline.take(campaignChunkPlannedV1);
      if (done === undefined || requested === undefined || planned === undefined) throw new Error('three chunks were expected');
      await pipeline.handle([done]);
      await pipeline.drain();
      await pipeline.handle([requested]);
      await pipeline.control.pause(pipeline.environmentId, runId);
      await pipeline.handle([planned]);
      await pipeline.drain();
      expect(await pipeline.read(runId)).toMatchObject({ state: 'paused', counts: { delivered: 900, pending: 1_900 } });
      await pipeline.control.resume(pipeline.environmentId, runId);
      expect(pipeline.records).toHaveLength(2);
      await pipeline.drain();
      expect(await pipeline.read(runId)).toMatchObject({ state: 'finished', counts: { targeted: 3_000, delivered: 2_700, skipped: 300 } });
    });

    it('let reports come in, and finish at the resume what was settled meanwhile', async () => {
      await pipeline.standIn.seedSubscribers(pipeline.environmentId, 20);
      const runId = await pipeline.trigger({ all: true });
      await pipeline.handle(pipeline.take(campaignRunTriggeredV1));
      await pipeline.handle(pipeline.take(campaignChunkPlannedV1));
      await pipeline.handle(pipeline.take(inboxDeliveryRequestedV1));
      await pipeline.control.pause(pipeline.environmentId, runId);
      await pipeline.drain();
      expect(await pipeline.read(runId)).toMatchObject({ state: 'paused', counts: { delivered: 18, pending: 0 } });
      await pipeline.control.resume(pipeline.environmentId, runId);
      expect((await pipeline.read(runId)).state).toBe('finished');
    });

    it('change nothing when it is already so', async () => {
      await pipeline.standIn.seedSubscribers(pipeline.environmentId, 20);
      const runId = await pipeline.trigger({ all: true });
      await pipeline.control.resume(pipeline.environmentId, runId);
      expect(pipeline.records).toHaveLength(1);
      await pipeline.control.pause(pipeline.environmentId, runId);
      await pipeline.control.pause(pipeline.environmentId, runId);
      expect((await pipeline.read(runId)).state).toBe('paused');
    });

    it('are refused for a run that is over, naming its state', async () => {
      const runId = await pipeline.trigger({ all: true });
      await pipeline.drain();
      for (const action of ['pause', 'resume'] as const) {
        const refused = pipeline.control[action](pipeline.environmentId, runId);
        await expect(refused).rejects.toMatchObject({ name: 'RunStateConflictError', details: { state: 'finished' } });
      }
    });
  });

  describe('cancel', () => {
    it('ends a run that is not planned yet at once', async () => {
      await pipeline.standIn.seedSubscribers(pipeline.environmentId, 20);
      const runId = await pipeline.trigger({ all: true });
      await pipeline.control.cancel(pipeline.environmentId, runId);
      expect(await pipeline.read(runId)).toMatchObject({ state: 'cancelled', counts: { targeted: 0, pending: 0 } });
      await pipeline.drain();
      expect(await pipeline.standIn.countMessages(pipeline.environmentId)).toBe(0);
    });

    it.each(['running', 'paused'] as const)(
      'of a %s run accounts for everybody: who has the message, who was skipped, the rest',
      async (state) => {
        await pipeline.standIn.seedSubscribers(pipeline.environmentId, 4_000);
        const runId = await pipeline.trigger({ all: true });
        await pipeline.handle(pipeline.take(campaignRunTriggeredV1));
        const [settled, unreported, requested, planned] = pipeline.take(campaignChunkPlannedV1);
        if (settled === undefined || unreported === undefined || requested === undefined || planned === undefined)
          throw new Error('four chunks were expected');
        await pipeline.handle([settled]);
        await pipeline.drain();
        await pipeline.handle([unreported]);
        await pipeline.handle(pipeline.take(inboxDeliveryRequestedV1));
        pipeline.take(campaignDeliverySettledV1);
        await pipeline.handle([requested]);
        if (state === 'paused') await pipeline.control.pause(pipeline.environmentId, runId);
        await pipeline.control.cancel(pipeline.environmentId, runId);
        expect((await pipeline.read(runId)).state).toBe('cancelling');
        await pipeline.handle([planned]);
        await pipeline.drain();
        expect(await pipeline.read(runId)).toMatchObject({
          state: 'cancelled',
          counts: { targeted: 4_000, delivered: 1_800, skipped: 400, cancelled: 1_800, pending: 0 },
        });
        expect(await pipeline.standIn.countMessages(pipeline.environmentId)).toBe(1_800);
      },
    );

    it('is seen by a delivery stage that was waiting for the lock of the batch while it was made', async () => {
      await pipeline.standIn.seedSubscribers(pipeline.environmentId, 20);
      const runId = await pipeline.trigger({ all: true });
      await pipeline.handle(pipeline.take(campaignRunTriggeredV1));
      await pipeline.handle(pipeline.take(campaignChunkPlannedV1));
      const [record] = pipeline.take(inboxDeliveryRequestedV1);
      const request = inboxDeliveryRequestedV1.schema.parse(record?.event);
      let successor: ReturnType<typeof pipeline.standIn.lock> | undefined;
      await test.database.transaction(async (zombie) => {
        expect(await pipeline.standIn.lock(request, zombie)).toMatchObject({ runState: 'running' });
        successor = test.database.transaction((tx) => pipeline.standIn.lock(request, tx));
        await waitFor(async () => {
          const [row] = await test.database.query<{ waiting: number }>({
            text: `SELECT count(*)::integer AS waiting FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`,
          });
          return row?.waiting === 1;
        });
        await pipeline.control.cancel(pipeline.environmentId, runId);
      });
      expect(await successor).toMatchObject({ runState: 'cancelling' });
      await pipeline.drain();
      expect((await pipeline.read(runId)).state).toBe('cancelled');
    });

    it('changes nothing after the end, nor a second time', async () => {
      await pipeline.standIn.seedSubscribers(pipeline.environmentId, 20);
      const runId = await pipeline.trigger({ all: true });
      await pipeline.drain();
      const before = await pipeline.read(runId);
      await pipeline.control.cancel(pipeline.environmentId, runId);
      expect(await pipeline.read(runId)).toEqual(before);
      expect(pipeline.records).toEqual([]);
    });

    it('cannot be taken back', async () => {
      await pipeline.standIn.seedSubscribers(pipeline.environmentId, 20);
      const runId = await pipeline.trigger({ all: true });
      await pipeline.handle(pipeline.take(campaignRunTriggeredV1));
      await pipeline.control.cancel(pipeline.environmentId, runId);
      await expect(pipeline.control.pause(pipeline.environmentId, runId)).rejects.toBeInstanceOf(RunStateConflictError);
      await expect(pipeline.control.resume(pipeline.environmentId, runId)).rejects.toBeInstanceOf(RunStateConflictError);
    });
  });
});
