/**
 * Guarantee: of all processes one removes at a time, and a process that was stopped for longer than its lease writes nothing when it comes
 * back. An abort at any point loses nothing and blocks nobody: the next run goes on.
 */
import { type Database, DatabaseUnavailableError, type RetentionPolicy, type RowStep } from '#database';
import { createTestDatabase, type TestDatabase, waitFor } from '#testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RetentionFixture } from './testing/retention-fixture.store.js';
import { makeRetention, type RetentionKit } from './testing/retention-kit.js';

const POLICY = 'http.idempotency_records';
const DUE_HOURS = 25;
const ROWS = 40;
const IN_BATCHES_OF_TEN = { RETENTION_BATCH_ROWS_MAX: '10', RETENTION_LEASE_SECONDS: '4' };

describe('a run of a policy', () => {
  let test: TestDatabase;
  let fixture: RetentionFixture;
  let environmentId: string;
  let retention: RetentionKit;

  beforeEach(async () => {
    test = await createTestDatabase();
    fixture = await RetentionFixture.make(test.database);
    environmentId = fixture.environmentIds[0] ?? '';
    retention = makeRetention(test.database, IN_BATCHES_OF_TEN);
    await fixture.addIdempotencyRecords(environmentId, ROWS, await fixture.hoursAgo(DUE_HOURS));
  });
  afterEach(() => test.close());

  const countRows = async () => (await fixture.snapshot()).get('http.idempotency_record')?.length ?? 0;
  const lastRun = async () => (await retention.store.listRuns({ policy: POLICY, limit: 1 }))[0];

  it('removes in bounded batches and keeps a protocol', async () => {
    expect(await retention.run(POLICY)).toMatchObject({ outcome: 'done', removed: { 'http.idempotency_record': ROWS }, batches: 4 });
    expect(await lastRun()).toMatchObject({ outcome: 'done', removed: { 'http.idempotency_record': ROWS }, batches: 4, keptHours: 24 });
    const [lease] = await retention.store.readLeases();
    expect(lease).toMatchObject({ policy: POLICY, isDue: false, holder: null, keptHours: 24 });
    expect(lease?.secondsSinceSuccess).toBeLessThan(60);
  });

  it('leaves a policy alone that ran lately, unless it is run by hand', async () => {
    const options = { onlyIfDue: true };
    expect(await retention.runPolicy.run(retention.policy(POLICY), options)).toMatchObject({ outcome: 'done' });
    expect(await retention.runPolicy.run(retention.policy(POLICY), options)).toMatchObject({ outcome: 'busy' });
    expect(await retention.run(POLICY)).toMatchObject({ outcome: 'done' });
    await test.database.execute({ text: "UPDATE retention.lease SET due_at = now() - interval '1 second'" });
    expect(await retention.runPolicy.run(retention.policy(POLICY), options)).toMatchObject({ outcome: 'done' });
  });

  it('has one leader: of several that start together one removes, and nothing is removed twice', async () => {
    const processes = Array.from({ length: 4 }, () => makeRetention(test.database, IN_BATCHES_OF_TEN));
    const runs = await Promise.all(processes.map((each) => each.runPolicy.run(each.policy(POLICY), { onlyIfDue: true })));
    expect(runs.map(({ outcome }) => outcome).sort()).toEqual(['busy', 'busy', 'busy', 'done']);
    expect(runs.reduce((sum, run) => sum + (run.removed['http.idempotency_record'] ?? 0), 0)).toBe(ROWS);
    expect(await countRows()).toBe(0);
  });

  it('goes on where it was aborted', async () => {
    const aborted = new AbortController();
    const policy = withStep(retention.policy(POLICY), (step) => async (cutoff, limit, tx) => {
      const rows = await step.remove(cutoff, limit, tx);
      if ((rows[step.table] ?? 0) > 0) aborted.abort();
      return rows;
    });
    const first = await retention.runPolicy.run(policy, { onlyIfDue: true, signal: aborted.signal });
    expect(first).toMatchObject({ outcome: 'interrupted', removed: { 'http.idempotency_record': 10 } });
    expect(await countRows()).toBe(30);
    // The policy is due at once, for whoever comes next.
    const second = await retention.runPolicy.run(retention.policy(POLICY), { onlyIfDue: true });
    expect(second).toMatchObject({ outcome: 'done', removed: { 'http.idempotency_record': 30 } });
  });

  it('takes a batch back that fails, with its line in the protocol, and goes on later', async () => {
    let batches = 0;
    const policy = withStep(retention.policy(POLICY), (step) => async (cutoff, limit, tx) => {
      const rows = await step.remove(cutoff, limit, tx);
      batches += 1;
      if (batches === 2) throw new Error('the disk is full');
      return rows;
    });
    expect(await retention.runPolicy.run(policy, { onlyIfDue: false })).toMatchObject({ outcome: 'failed' });
    expect(await countRows()).toBe(30);
    expect(await lastRun()).toMatchObject({ outcome: 'failed', removed: { 'http.idempotency_record': 10 }, failure: 'the disk is full' });
    expect(await retention.run(POLICY)).toMatchObject({ outcome: 'done', removed: { 'http.idempotency_record': 30 } });
  });

  it('goes on after the process of the leader was killed in the middle of a batch', async () => {
    const policy = retention.policy(POLICY);
    const [step] = policy.steps;
    const batch = test.database.transaction(async (tx) => {
      const lease = await retention.store.acquire(policy, { holder: 'killed', leaseMs: 4_000, onlyIfDue: true }, tx);
      expect(lease).toBeDefined();
      if (step?.kind === 'rows') await step.remove(new Date(), 10, tx);
      await test.database.query({ text: 'SELECT pg_terminate_backend($1::integer)', values: [await backendOf(tx)] });
    });
    await expect(batch).rejects.toThrow(DatabaseUnavailableError);
    await test.database.transaction((tx) => retention.store.acquire(policy, { holder: 'killed', leaseMs: 60_000, onlyIfDue: true }, tx));
    expect(await countRows()).toBe(ROWS);
    expect(await retention.run(POLICY)).toMatchObject({ outcome: 'busy' });
    await endLeases(test.database);
    expect(await retention.run(POLICY)).toMatchObject({ outcome: 'done', removed: { 'http.idempotency_record': ROWS } });
    const runs = await retention.store.listRuns({ policy: POLICY, limit: 10 });
    expect(runs.map(({ outcome, holder }) => [outcome, holder === 'killed'])).toEqual([
      ['done', false],
      ['interrupted', true],
    ]);
  });

  describe('of a process that was stopped for longer than its lease', () => {
    it('writes nothing of the batch at hand when its token is old', async () => {
      const policy = withStep(retention.policy(POLICY), (step) => async (cutoff, limit, tx) => {
        const rows = await step.remove(cutoff, limit, tx);
        await tx.execute({ text: 'UPDATE retention.lease SET token = token + 1' });
        return rows;
      });
      expect(await retention.runPolicy.run(policy, { onlyIfDue: false })).toMatchObject({ outcome: 'lost', removed: {} });
      expect(await countRows()).toBe(ROWS);
    });

    it('writes nothing after a successor took over between two batches, nor closes the protocol', async () => {
      const successor = makeRetention(test.database, IN_BATCHES_OF_TEN);
      const zombie = stoppedAfterBatch(retention.policy(POLICY), 9, async () => {
        await endLeases(test.database);
        expect(await successor.run(POLICY)).toMatchObject({ outcome: 'done', removed: { 'http.idempotency_record': 31 } });
        await fixture.addIdempotencyRecords(fixture.environmentIds[1] ?? '', 5, await fixture.hoursAgo(DUE_HOURS));
      });
      const run = await retention.runPolicy.run(zombie, { onlyIfDue: false });
      expect(run).toMatchObject({ outcome: 'lost', removed: { 'http.idempotency_record': 9 } });
      expect(await countRows()).toBe(5);
      const runs = await retention.store.listRuns({ policy: POLICY, limit: 10 });
      expect(runs.map(({ outcome, removed }) => [outcome, removed['http.idempotency_record']])).toEqual([
        ['done', 31],
        ['interrupted', 9],
      ]);
    });

    it('writes nothing even when nobody took over', async () => {
      const policy = withStep(retention.policy(POLICY), (step) => async (cutoff, limit, tx) => {
        const rows = await step.remove(cutoff, limit, tx);
        await tx.execute({ text: 'UPDATE retention.lease SET expires_at = clock_timestamp()' });
        return rows;
      });
      expect(await retention.runPolicy.run(policy, { onlyIfDue: false })).toMatchObject({ outcome: 'lost', removed: {} });
      expect(await countRows()).toBe(ROWS);
    });

    it('finds its transaction ended by Postgres long before its lease ends', async () => {
      const policy = withStep(retention.policy(POLICY), (step) => async (cutoff, limit, tx) => {
        const pid = await backendOf(tx);
        const rows = await step.remove(cutoff, limit, tx);
        await waitFor(async () => {
          const alive = await test.database.query({ text: 'SELECT FROM pg_stat_activity WHERE pid = $1', values: [pid] });
          return alive.length === 0;
        });
        return rows;
      });
      expect(await retention.runPolicy.run(policy, { onlyIfDue: false })).toMatchObject({ removed: {} });
      expect(await countRows()).toBe(ROWS);
    });

    it('drops no partition', async () => {
      const from = await fixture.hoursAgo(5_001);
      await fixture.addPartition('engagement.receipt', 'receipt_old', { from, to: await fixture.hoursAgo(5_000) });
      const isHeld = async () => {
        await endLeases(test.database);
        return false;
      };
      const policy = retention.policy('engagement.receipts');
      const steps = policy.steps.map((step) => (step.kind === 'partitions' ? { ...step, isHeld } : step));
      expect(await retention.runPolicy.run({ ...policy, steps }, { onlyIfDue: false })).toMatchObject({ outcome: 'lost', partitions: [] });
      expect(await retention.run('engagement.receipts')).toMatchObject({ outcome: 'done', partitions: ['receipt_old'] });
    });
  });

  describe('beside others', () => {
    it('passes over rows that somebody holds, says so, and removes them later; nobody waits', async () => {
      await test.database.transaction(async (holder) => {
        await holder.query({ text: 'SELECT 1 FROM http.idempotency_record LIMIT 3 FOR UPDATE' });
        expect(await retention.run(POLICY)).toMatchObject({ outcome: 'blocked', removed: { 'http.idempotency_record': ROWS - 3 } });
        await test.database.query({ text: 'SELECT 1 FROM http.idempotency_record' });
      });
      expect(await retention.run(POLICY)).toMatchObject({ outcome: 'done', removed: { 'http.idempotency_record': 3 } });
    });

    it('gives up on a locked table within the lock timeout and goes on later', async () => {
      await test.database.transaction(async (holder) => {
        await holder.execute({ text: 'LOCK TABLE http.idempotency_record IN SHARE MODE' });
        const run = await retention.run(POLICY);
        expect(run).toMatchObject({ outcome: 'blocked', removed: {} });
        expect(await holder.query({ text: 'SELECT 1 AS one FROM http.idempotency_record' })).toHaveLength(ROWS);
      });
      expect(await lastRun()).toMatchObject({ outcome: 'blocked', failure: expect.stringContaining('lock timeout') });
      const [lease] = await retention.store.readLeases();
      expect(lease?.succeededAt).toBeNull();
      expect((lease?.dueAt.getTime() ?? 0) - Date.now()).toBeLessThan(61_000);
      expect(await retention.run(POLICY)).toMatchObject({ outcome: 'done', removed: { 'http.idempotency_record': ROWS } });
    });

    it('drops no partition under an open reader, holds up neither readers nor writers, and goes on later', async () => {
      const from = await fixture.hoursAgo(5_001);
      await fixture.addPartition('inbox.message', 'message_old', { from, to: await fixture.hoursAgo(5_000) });
      await fixture.addPartitionedRow(environmentId, 'inbox.message', from);
      await test.database.transaction(async (reader) => {
        expect(await reader.query({ text: 'SELECT 1 AS one FROM inbox.message' })).toHaveLength(1);
        expect(await retention.run('inbox.messages')).toMatchObject({ outcome: 'blocked', partitions: [] });
        await fixture.addPartitionedRow(environmentId, 'inbox.message', new Date());
        await test.database.query({ text: 'SELECT 1 FROM inbox.message' });
      });
      expect(await retention.run('inbox.messages')).toMatchObject({
        outcome: 'done',
        partitions: ['message_old'],
        removed: { 'inbox.message': 1 },
      });
    });
  });
});

/** The policy with another way to remove the rows of its first step. */
function withStep(policy: RetentionPolicy, make: (step: RowStep) => RowStep['remove']): RetentionPolicy {
  const [first] = policy.steps;
  if (first?.kind !== 'rows') throw new Error(`${policy.name} removes no rows.`);
  return { ...policy, steps: [{ ...first, remove: make(first) }] };
}

/** The policy of a process that is stopped after its first batch, while `meanwhile` happens, and then goes on. */
function stoppedAfterBatch(policy: RetentionPolicy, rows: number, meanwhile: () => Promise<void>): RetentionPolicy {
  const [first] = policy.steps;
  if (first?.kind !== 'rows') throw new Error(`${policy.name} removes no rows.`);
  const batch: RowStep = {
    ...first,
    remove: (cutoff, _limit, tx) => first.remove(cutoff, rows, tx),
    isDue: async () => (await meanwhile(), false),
  };
  return { ...policy, steps: [batch, first] };
}

async function backendOf(sql: { query: Database['query'] }): Promise<number> {
  const [row] = await sql.query<{ pid: number }>({ text: 'SELECT pg_backend_pid() AS pid' });
  return row?.pid ?? 0;
}

/** As if time had passed. */
async function endLeases(database: Database): Promise<void> {
  await database.execute({ text: 'UPDATE retention.lease SET expires_at = clock_timestamp()' });
}
