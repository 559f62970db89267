import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Database, migrate } from '#database';
import { createTestCluster, createTestDatabase, type TestDatabase, waitFor } from '#testing';
import { Collector, DRAIN_MS, Gate, keyNames, numberedRecords, subscribeReady, textsOf, uniqueName } from '../conformance/harness.js';
import type { EventLog, TopicSpec } from '../event-log.js';
import { deaf, stoppable } from '../testing/database-faults.js';
import { PostgresEventLog } from './postgres-event-log.js';

const LEASE_MS = 1_200;
const RESTART_WAIT_MS = 20_000;

/** What the Postgres adapter does when processes stop, notifications get lost and Postgres goes away. */
describe('postgres-event-log under faults', () => {
  let test: TestDatabase;
  const logs: EventLog[] = [];

  beforeAll(async () => {
    test = await createTestDatabase({ poolConnectionsMax: 20 });
  });
  afterEach(async () => {
    await Promise.all(logs.splice(0).map((log) => log.close(0)));
  });
  afterAll(() => test.close());

  function open(database: Database = test.database): PostgresEventLog {
    const log = new PostgresEventLog({ database, leaseMs: LEASE_MS, pollMsMin: 50, pollMsMax: 200 });
    logs.push(log);
    return log;
  }

  async function makeTopic(log: EventLog, partitions: number): Promise<TopicSpec> {
    const spec = { topic: uniqueName('test.record.appended'), partitions, retentionHours: 1 };
    await log.ensureTopics([spec]);
    return spec;
  }

  async function committedOffsets(group: string): Promise<string[]> {
    const rows = await test.database.query<{ committed_offset: string }>({
      text: 'SELECT committed_offset FROM event_log.group_partition WHERE group_name = $1 ORDER BY partition',
      values: [group],
    });
    return rows.map((row) => row.committed_offset);
  }

  it('hands the partitions of a stopped process to another member, refuses its commit when it goes on, and takes it back', async () => {
    const stopped = stoppable(test.database);
    const [zombie, survivor] = [open(stopped.database), open()];
    const spec = await makeTopic(survivor, 1);
    const group = uniqueName('group');
    const records = numberedRecords(5, ['a']);
    const [started, release] = [new Gate(), new Gate()];
    let signal: AbortSignal | undefined;
    let heartbeat: Promise<void> | undefined;
    const first = new Collector(async (_batch, context) => {
      if (signal !== undefined) return;
      signal = context.signal;
      started.open();
      await release.opened;
      heartbeat = context.heartbeat();
      heartbeat.catch(() => undefined);
    });
    const subscription = await subscribeReady(zombie, { group, topics: [spec.topic], handler: first.handler });
    await survivor.append(spec.topic, records);
    await started.opened;

    stopped.stop();
    const gate = new Gate();
    const second = new Collector(async (batch) => {
      if (batch.records[0]?.offset === 5n) await gate.opened;
    });
    const successor = await subscribeReady(survivor, { group, topics: [spec.topic], handler: second.handler });
    await second.has(textsOf(records));
    await waitFor(async () => (await committedOffsets(group))[0] === '5');
    expect(signal?.aborted).toBe(true);

    await survivor.append(spec.topic, numberedRecords(1, ['a'], 5));
    stopped.resume();
    release.open();
    await waitFor(() => heartbeat !== undefined);
    await expect(heartbeat).rejects.toThrow('not in our hands');
    await waitFor(() => subscription.status === 'running');
    expect(await committedOffsets(group)).toEqual(['5']);

    gate.open();
    await second.has(['a:5']);
    await successor.close(DRAIN_MS);
    await survivor.append(spec.topic, numberedRecords(1, ['a'], 6));
    await first.has(['a:6']);
    expect(first.texts.filter((text) => text === 'a:6')).toHaveLength(1);
  });

  it('delivers records and shares partitions without any notification', async () => {
    const [one, two] = [open(deaf(test.database)), open(deaf(test.database))];
    const spec = await makeTopic(one, 4);
    const group = uniqueName('group');
    const [first, second] = [new Collector(), new Collector()];
    await subscribeReady(one, { group, topics: [spec.topic], handler: first.handler });
    await subscribeReady(two, { group, topics: [spec.topic], handler: second.handler });
    const records = numberedRecords(80, keyNames(40));
    await one.append(spec.topic, records);
    await waitFor(() => first.records.length + second.records.length === records.length);
    expect([first.partitions.length, second.partitions.length]).toEqual([2, 2]);
  });

  it('lets a handler stop when its process lost the lease because Postgres did not answer', async () => {
    const stopped = stoppable(test.database);
    const log = open(stopped.database);
    const spec = await makeTopic(log, 1);
    const started = new Gate();
    const aborted = new Gate();
    const collector = new Collector(async (batch, context) => {
      if (collector.attempts.length > 1) return;
      started.open();
      context.signal.addEventListener('abort', () => aborted.open());
      await aborted.opened;
      throw new Error(`partition ${batch.partition} was lost`);
    });
    await subscribeReady(log, { group: uniqueName('group'), topics: [spec.topic], handler: collector.handler });
    await log.append(spec.topic, numberedRecords(3, ['a']));
    await started.opened;
    stopped.stop();
    await aborted.opened;
    stopped.resume();
    await collector.has(['a:0', 'a:1', 'a:2']);
    expect(collector.records).toHaveLength(3);
  });

  it('goes on when all connections are cut in the middle of the work', async () => {
    const database = await Database.open({ url: test.url, applicationName: 'belfry cut', poolConnectionsMax: 6 });
    const log = open(database);
    const spec = await makeTopic(log, 4);
    const collector = new Collector();
    await subscribeReady(log, { group: uniqueName('group'), topics: [spec.topic], batchRecordsMax: 10, handler: collector.handler });
    const records = numberedRecords(2_000, keyNames(40));
    for (let start = 0; start < records.length; start += 500) {
      await open().append(spec.topic, records.slice(start, start + 500));
      await test.database.query({
        text: `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'belfry cut%'`,
      });
    }
    await collector.has(textsOf(records));
    expect(new Set(collector.texts).size).toBe(records.length);
    await log.close(DRAIN_MS);
    await database.close();
  });

  it('goes on after Postgres was killed and started again', { timeout: 120_000 }, async () => {
    const cluster = await createTestCluster();
    await migrate(cluster.url);
    const database = await Database.open({ url: cluster.url });
    const log = open(database);
    try {
      const spec = await makeTopic(log, 2);
      const collector = new Collector();
      const subscription = await subscribeReady(log, { group: uniqueName('group'), topics: [spec.topic], handler: collector.handler });
      await log.append(spec.topic, numberedRecords(10, keyNames(4)));
      await waitFor(() => collector.records.length === 10);

      await cluster.kill();
      await expect(log.append(spec.topic, numberedRecords(1, ['lost']))).rejects.toMatchObject({ facts: { disposition: 'pause' } });
      await waitFor(() => subscription.status === 'failed', { timeoutMs: RESTART_WAIT_MS });
      await cluster.restart();
      await waitFor(() => subscription.status === 'running', { timeoutMs: RESTART_WAIT_MS });
      const after = numberedRecords(10, keyNames(4), 10);
      await log.append(spec.topic, after);
      await collector.has(textsOf(after));
      expect(new Set(collector.texts).size).toBe(20);
    } finally {
      await log.close(0);
      await database.close();
      await cluster.close();
    }
  });
});
