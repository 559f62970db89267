import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  campaignChunkPlannedV1,
  campaignDeliverySettledV1,
  campaignRunTriggeredV1,
  inboxDeliveryRequestedV1,
  type TopicContract,
} from '#contracts';
import { createTestDatabase, FixedClock, type TestDatabase } from '#testing';
import { ReconcileStore } from '../reconcile.store.js';
import { Pipeline } from '../testing/pipeline.js';

const STALLED_AFTER_MS = 60_000;

describe('ReconcileRuns', () => {
  let test: TestDatabase;
  let clock: FixedClock;
  let pipeline: Pipeline;
  let runId: string;

  beforeAll(async () => {
    test = await createTestDatabase();
    await new Pipeline(test.database, new FixedClock()).standIn.prepare();
  });
  afterAll(() => test.close());
  beforeEach(async () => {
    clock = new FixedClock();
    pipeline = new Pipeline(test.database, clock);
    await pipeline.standIn.seedSubscribers(pipeline.environmentId, 1_500);
    runId = await pipeline.trigger({ all: true });
  });

  /** Handles stage after stage up to the given topic, and loses what is in it. */
  async function loseRecordsOf(topic: Pick<TopicContract<never>, 'topic'>): Promise<void> {
    while (pipeline.records.length > 0 && !pipeline.records.some((record) => record.topic === topic.topic))
      await pipeline.handle(pipeline.take());
    expect(pipeline.take(topic as TopicContract<never>).length).toBeGreaterThan(0);
  }

  it.each([campaignRunTriggeredV1, campaignChunkPlannedV1, inboxDeliveryRequestedV1, campaignDeliverySettledV1])(
    'brings a run to its end that lost its records of $topic',
    async (topic) => {
      await loseRecordsOf(topic);
      clock.advance(STALLED_AFTER_MS - 1);
      await pipeline.reconcileRuns.reconcile(STALLED_AFTER_MS);
      expect(pipeline.records).toEqual([]);
      clock.advance(1);
      const { restarted } = await pipeline.reconcileRuns.reconcile(STALLED_AFTER_MS);
      expect(restarted).toMatchObject([{ runId, emissions: 1 }]);
      await pipeline.drain();
      expect(await pipeline.read(runId)).toMatchObject({
        state: 'finished',
        counts: { targeted: 1_500, delivered: 1_350, skipped: 150, pending: 0 },
      });
    },
  );

  it('waits twice as long after each repeat', async () => {
    await loseRecordsOf(campaignChunkPlannedV1);
    for (const waitMs of [STALLED_AFTER_MS, 2 * STALLED_AFTER_MS, 4 * STALLED_AFTER_MS]) {
      clock.advance(waitMs - 1);
      expect((await pipeline.reconcileRuns.reconcile(STALLED_AFTER_MS)).restarted).toEqual([]);
      clock.advance(1);
      expect((await pipeline.reconcileRuns.reconcile(STALLED_AFTER_MS)).restarted).toHaveLength(1);
      pipeline.take();
    }
    await pipeline.control.cancel(pipeline.environmentId, runId);
    await pipeline.drain();
  });

  it('leaves a run alone that is slow but moves', async () => {
    await pipeline.handle(pipeline.take(campaignRunTriggeredV1));
    const [first, second] = pipeline.take(campaignChunkPlannedV1);
    clock.advance(STALLED_AFTER_MS);
    await pipeline.handle(first === undefined ? [] : [first]);
    expect((await pipeline.reconcileRuns.reconcile(STALLED_AFTER_MS)).restarted).toEqual([]);
    await pipeline.drain();
    await pipeline.handle(second === undefined ? [] : [second]);
    await pipeline.drain();
    expect((await pipeline.read(runId)).state).toBe('finished');
  });

  it('leaves paused runs alone', async () => {
    await pipeline.control.pause(pipeline.environmentId, runId);
    pipeline.take();
    clock.advance(100 * STALLED_AFTER_MS);
    expect(await pipeline.reconcileRuns.reconcile(STALLED_AFTER_MS)).toEqual({ restarted: [], closed: [] });
    await pipeline.control.cancel(pipeline.environmentId, runId);
  });

  it('brings a cancel to its end whose records were lost', async () => {
    await pipeline.handle(pipeline.take(campaignRunTriggeredV1));
    await pipeline.control.cancel(pipeline.environmentId, runId);
    pipeline.take();
    clock.advance(4 * STALLED_AFTER_MS);
    await pipeline.reconcileRuns.reconcile(STALLED_AFTER_MS);
    await pipeline.drain();
    expect(await pipeline.read(runId)).toMatchObject({ state: 'cancelled', counts: { targeted: 1_500, cancelled: 1_350, skipped: 150 } });
  });

  it('closes a run that is settled but was not closed', async () => {
    await loseRecordsOf(campaignDeliverySettledV1);
    await test.database.execute({
      text: `UPDATE campaigns.chunk_delivery SET delivered = pending, pending = 0 WHERE environment_id = $1 AND run_id = $2`,
      values: [pipeline.environmentId, runId],
    });
    const { closed } = await pipeline.reconcileRuns.reconcile(STALLED_AFTER_MS);
    expect(closed).toMatchObject([{ id: runId, state: 'finished' }]);
    expect((await pipeline.read(runId)).counts).toMatchObject({ delivered: 1_350, pending: 0 });
  });

  it('does nothing while another process leads', async () => {
    pipeline.take();
    clock.advance(STALLED_AFTER_MS);
    await test.database.transaction(async (tx) => {
      expect(await new ReconcileStore().tryLead(tx)).toBe(true);
      expect(await pipeline.reconcileRuns.reconcile(STALLED_AFTER_MS)).toEqual({ restarted: [], closed: [] });
    });
    expect((await pipeline.reconcileRuns.reconcile(STALLED_AFTER_MS)).restarted).toMatchObject([{ runId }]);
    await pipeline.control.cancel(pipeline.environmentId, runId);
  });
});
