import { newUuid } from '#contracts';
import { createTestDatabase, type TestDatabase } from '#testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { missingFrom, RetentionFixture } from './testing/retention-fixture.store.js';
import { makeRetention, type RetentionKit } from './testing/retention-kit.js';

const HOURS_PER_DAY = 24;
const LATER = new Date('2099-01-01T00:00:00.000Z');

/** Each case fills the tables of two environments with rows on both sides of the boundary; the ids that it gives back are due. */
type Case = (fixture: RetentionFixture, environmentId: string, at: Moments) => Promise<string[]>;

interface Moments {
  /** An hour past the period. */
  readonly due: Date;
  /** An hour before it is over. */
  readonly kept: Date;
  /** Long past every period. */
  readonly longAgo: Date;
  readonly now: Date;
}

const CASES: Record<string, Case> = {
  'http.idempotency_records': async (fixture, environmentId, at) => {
    await fixture.addIdempotencyRecord(environmentId, at.kept);
    return [await fixture.addIdempotencyRecord(environmentId, at.due)];
  },
  'identity.verdicts': async (fixture, environmentId, at) => {
    await fixture.addVerdicts(environmentId, at.kept);
    return [await fixture.addVerdicts(environmentId, at.due)];
  },
  'event_log.settled_dead_letters': async (fixture, environmentId, at) => {
    await fixture.addDeadLetter(environmentId, { failedAt: at.longAgo, settledAt: at.kept });
    await fixture.addDeadLetter(environmentId, { failedAt: at.longAgo });
    return [await fixture.addDeadLetter(environmentId, { failedAt: at.longAgo, settledAt: at.due })];
  },
  'event_log.dead_letters': async (fixture, environmentId, at) => {
    await fixture.addDeadLetter(environmentId, { failedAt: at.kept });
    await fixture.addDeadLetter(environmentId, { failedAt: at.longAgo, settledAt: at.now });
    return [await fixture.addDeadLetter(environmentId, { failedAt: at.due })];
  },
  'subscribers.imports': async (fixture, environmentId, at) => {
    await fixture.addImport(environmentId, { progressAt: at.longAgo, finishedAt: at.kept, rejections: 3 });
    await fixture.addImport(environmentId, { progressAt: at.kept, rejections: 3 });
    return [
      await fixture.addImport(environmentId, { progressAt: at.longAgo, finishedAt: at.due, rejections: 3 }),
      await fixture.addImport(environmentId, { progressAt: at.due, rejections: 0 }),
    ];
  },
  'campaigns.messages': async (fixture, environmentId, at) => {
    await fixture.addMessage(environmentId, at.kept, at.now);
    await fixture.addMessage(environmentId, at.due, LATER);
    const [shown, counted] = [
      await fixture.addMessage(environmentId, at.due, at.now),
      await fixture.addMessage(environmentId, at.due, at.now),
    ];
    await fixture.addInboxMessage(environmentId, shown);
    await fixture.addBatch(environmentId, { messageKey: counted.messageKey, at: at.due, settledAt: at.due });
    const due = await fixture.addMessage(environmentId, at.due, at.now);
    return [due.messageKey, due.contentId];
  },
  'push.devices': async (fixture, environmentId, at) => {
    const [reader, lost, lately] = [
      await fixture.addSubscriber(environmentId),
      await fixture.addSubscriber(environmentId, at.due),
      await fixture.addSubscriber(environmentId, at.kept),
    ];
    const add = (subscriberId: string, state: string, changedAt: Date, seenAt: Date) =>
      fixture.addDevice(environmentId, { subscriberId, state, changedAt, seenAt });
    await add(reader, 'active', at.longAgo, at.longAgo);
    await add(reader, 'unsubscribed', at.kept, at.longAgo);
    await add(lost, 'active', at.longAgo, at.kept);
    await add(lately, 'active', at.longAgo, at.longAgo);
    await add(newUuid(), 'active', at.longAgo, at.kept);
    return [
      await add(reader, 'unsubscribed', at.due, at.longAgo),
      await add(reader, 'gone', at.due, at.due),
      await add(lost, 'active', at.longAgo, at.due),
      await add(newUuid(), 'active', at.longAgo, at.due),
    ];
  },
  'push.batches': async (fixture, environmentId, at) => {
    const keyOf = (time: Date) => newUuid(time.getTime());
    const run = await fixture.addRun(environmentId, { state: 'finished', at: at.longAgo, finishedAt: at.longAgo });
    await fixture.addBatch(environmentId, { messageKey: run.messageKey, runId: run.runId, at: at.longAgo, settledAt: at.longAgo });
    await fixture.addBatch(environmentId, { messageKey: keyOf(at.kept), at: at.kept, settledAt: at.kept });
    await fixture.addBatch(environmentId, { messageKey: keyOf(at.due), at: at.due });
    const [single, ofGoneRun] = [keyOf(at.due), keyOf(at.due)];
    await fixture.addBatch(environmentId, { messageKey: single, at: at.due, settledAt: at.due });
    await fixture.addBatch(environmentId, { messageKey: ofGoneRun, runId: newUuid(), at: at.due, settledAt: at.due });
    return [single, ofGoneRun];
  },
  'campaigns.chunks': async (fixture, environmentId, at) => {
    await fixture.addRun(environmentId, { state: 'finished', at: at.longAgo, finishedAt: at.kept });
    await fixture.addRun(environmentId, { state: 'paused', at: at.longAgo });
    await fixture.addRun(environmentId, { state: 'finished', at: at.longAgo, finishedAt: at.due, frozen: false });
    const due = await fixture.addRun(environmentId, { state: 'finished', at: at.longAgo, finishedAt: at.due, chunks: 5 });
    return [due.runId];
  },
  'campaigns.runs': async (fixture, environmentId, at) => {
    for (const state of ['triggered', 'running', 'paused', 'cancelling']) await fixture.addRun(environmentId, { state, at: at.longAgo });
    await fixture.addRun(environmentId, { state: 'finished', at: at.longAgo, finishedAt: at.kept });
    const due: string[] = [];
    for (const state of ['finished', 'cancelled', 'failed']) {
      due.push((await fixture.addRun(environmentId, { state, at: at.longAgo, finishedAt: at.due, chunks: 3 })).runId);
    }
    return due;
  },
};

/** Rows that carry a due id and stay: the run outlives its chunks. */
const OUTLIVES: Record<string, string> = { 'campaigns.chunks': 'campaigns.run' };

describe('retention policies', () => {
  let test: TestDatabase;
  let fixture: RetentionFixture;
  let retention: RetentionKit;

  beforeEach(async () => {
    test = await createTestDatabase();
    fixture = await RetentionFixture.make(test.database);
    retention = makeRetention(test.database, { RETENTION_BATCH_ROWS_MAX: '3' });
  });
  afterEach(() => test.close());

  async function momentsOf(name: string): Promise<Moments> {
    const { keptHours } = retention.policy(name);
    const hoursAgo = (hours: number) => fixture.hoursAgo(hours);
    return {
      due: await hoursAgo(keptHours + 1),
      kept: await hoursAgo(keptHours - 1),
      longAgo: await hoursAgo(4_000 * HOURS_PER_DAY),
      now: await hoursAgo(0.01),
    };
  }

  it('are each covered by a case here', () => {
    const partitioned = retention.policies.list.filter(({ steps }) => steps.every(({ kind }) => kind === 'partitions'));
    const named = [...Object.keys(CASES), ...partitioned.map(({ name }) => name), 'retention.history'];
    expect(named.sort()).toEqual(retention.policies.list.map(({ name }) => name).sort());
  });

  it.each(Object.entries(CASES))('%s removes what is due in every environment and nothing else, as its survey said', async (name, fill) => {
    const at = await momentsOf(name);
    if (name === 'campaigns.messages') await fixture.addPartition('inbox.message', 'message_old', { from: at.longAgo, to: at.kept });
    const due = new Set<string>();
    for (const environmentId of fixture.environmentIds) for (const id of await fill(fixture, environmentId, at)) due.add(id);
    const before = await fixture.snapshot();

    const survey = await retention.surveyPolicy.survey(retention.policy(name));
    expect(missingFrom(before, await fixture.snapshot())).toEqual(new Map());
    expect(await retention.store.listRuns({ limit: 10 })).toEqual([]);

    const run = await retention.run(name);
    expect(run).toMatchObject({ policy: name, outcome: 'done' });
    const after = await fixture.snapshot();
    const gone = missingFrom(before, after);
    const counts = Object.fromEntries([...gone].map(([table, rows]) => [table, rows.length]));
    expect(run.removed).toEqual(counts);
    expect(Object.fromEntries(Object.entries(survey.due).map(([table, { rows }]) => [table, rows]))).toEqual(counts);
    const isDue = (row: string) => [...due].some((id) => row.includes(id));
    for (const [table, rows] of gone)
      expect(
        rows.filter((row) => !isDue(row)),
        table,
      ).toEqual([]);
    for (const [table, rows] of after) if (table !== OUTLIVES[name]) expect(rows.filter(isDue), table).toEqual([]);
    expect(await retention.run(name)).toMatchObject({ outcome: 'done', batches: 0, removed: {} });
  });

  it('say the age of the oldest and the bytes', async () => {
    const oldest = await fixture.hoursAgo(100);
    await fixture.addIdempotencyRecord(fixture.environmentIds[0] ?? '', oldest);
    const { due } = await retention.surveyPolicy.survey(retention.policy('http.idempotency_records'));
    expect(due['http.idempotency_record']).toMatchObject({ rows: 1, oldestAt: oldest });
    expect(due['http.idempotency_record']?.bytes).toBeGreaterThan(50);
  });

  describe('over partitions', () => {
    const PARENTS: Record<string, string> = {
      'event_log.records': 'event_log.record',
      'inbox.messages': 'inbox.message',
      'push.deliveries': 'push.delivery',
      'engagement.receipts': 'engagement.receipt',
      'engagement.counts': 'engagement.message_count',
    };

    it.each(Object.entries(PARENTS))('%s drops those whose last moment is past the period', async (name, parent) => {
      const at = await momentsOf(name);
      const [first, edge] = [new Date(at.due.getTime() - 3_600_000), new Date(at.kept.getTime() + 1_000)];
      await fixture.addPartition(parent, 'due', { from: first, to: at.due });
      await fixture.addPartition(parent, 'kept', { from: at.due, to: edge });
      const due: string[] = [];
      for (const environmentId of fixture.environmentIds) {
        due.push(await fixture.addPartitionedRow(environmentId, parent, first));
        await fixture.addPartitionedRow(environmentId, parent, at.due);
      }
      const before = await fixture.snapshot();
      const survey = await retention.surveyPolicy.survey(retention.policy(name));
      expect(survey).toMatchObject({ partitions: ['due'], due: { [parent]: { rows: 2, oldestAt: first } } });
      expect(missingFrom(before, await fixture.snapshot())).toEqual(new Map());
      expect(await retention.run(name)).toMatchObject({ outcome: 'done', partitions: ['due'], removed: { [parent]: 2 } });
      const gone = missingFrom(before, await fixture.snapshot());
      expect([...gone.keys()]).toEqual([parent]);
      expect(gone.get(parent)?.map((row) => due.filter((id) => row.includes(id)).length)).toEqual([1, 1]);
    });

    it.each(['inbox.messages', 'push.deliveries', 'engagement.counts'])(
      '%s keeps the partition of a run that is not over',
      async (name) => {
        const at = await momentsOf(name);
        const from = new Date(at.due.getTime() - 3_600_000);
        await fixture.addPartition(PARENTS[name] ?? '', 'held', { from, to: at.due });
        const run = await fixture.addRun(fixture.environmentIds[0] ?? '', { state: 'paused', at: from });
        expect(await retention.run(name)).toMatchObject({ outcome: 'done', partitions: [] });
        await test.database.execute({
          text: `UPDATE campaigns.run SET state = 'finished', counts = '{}', finished_at = now() WHERE id = $1`,
          values: [run.runId],
        });
        // The counts of a run are shown until the run itself is gone.
        if (name === 'engagement.counts') {
          expect(await retention.run(name)).toMatchObject({ outcome: 'done', partitions: [] });
          await test.database.execute({ text: 'DELETE FROM campaigns.run WHERE id = $1', values: [run.runId] });
        }
        expect(await retention.run(name)).toMatchObject({ outcome: 'done', partitions: ['held'] });
      },
    );

    it('push.deliveries keeps the partition of a batch that is not settled', async () => {
      const at = await momentsOf('push.deliveries');
      const from = new Date(at.due.getTime() - 3_600_000);
      await fixture.addPartition('push.delivery', 'held', { from, to: at.due });
      await fixture.addBatch(fixture.environmentIds[0] ?? '', { messageKey: newUuid(from.getTime()), at: from });
      expect(await retention.run('push.deliveries')).toMatchObject({ outcome: 'done', partitions: [] });
      await test.database.execute({ text: 'UPDATE push.batch SET settled_at = now()' });
      expect(await retention.run('push.deliveries')).toMatchObject({ outcome: 'done', partitions: ['held'] });
    });
  });

  it('retention.history removes its own old lines and not the run at hand', async () => {
    await retention.run('http.idempotency_records');
    await retention.run('event_log.records');
    await test.database.execute({
      text: `UPDATE retention.run SET started_at = now() - interval '91 days' WHERE policy = 'event_log.records'`,
    });
    expect(await retention.run('retention.history')).toMatchObject({ outcome: 'done', removed: { 'retention.run': 1 } });
    const runs = await retention.store.listRuns({ limit: 10 });
    expect(runs.map(({ policy, outcome }) => [policy, outcome])).toEqual([
      ['retention.history', 'done'],
      ['http.idempotency_records', 'done'],
    ]);
  });
});
