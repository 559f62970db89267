import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { DatabaseUnavailableError } from '#database';
import { createTestDatabase, type TestDatabase, waitFor } from '#testing';
import { Collector, DRAIN_MS, Gate, keyNames, numberedRecords, subscribeReady, textsOf, uniqueName } from '../conformance/harness.js';
import type { AppendRecord, EventLog, TopicSpec } from '../event-log.js';
import { GroupStore, type Membership, type TopicView } from './group.store.js';
import { LogStore } from './log.store.js';
import { PostgresEventLog } from './postgres-event-log.js';

const LEASE_MS = 1_500;

/** What the Postgres adapter promises beyond the port. */
describe('postgres-event-log', () => {
  let test: TestDatabase;
  const logs: EventLog[] = [];

  beforeAll(async () => {
    test = await createTestDatabase({ poolConnectionsMax: 20 });
  });
  afterEach(async () => {
    await Promise.all(logs.splice(0).map((log) => log.close(0)));
  });
  afterAll(() => test.close());

  function open(): PostgresEventLog {
    const log = new PostgresEventLog({ database: test.database, leaseMs: LEASE_MS, pollMsMin: 50, pollMsMax: 200 });
    logs.push(log);
    return log;
  }

  async function makeTopic(log: EventLog, partitions: number): Promise<TopicSpec> {
    const spec = { topic: uniqueName('test.record.appended'), partitions, retentionHours: 1 };
    await log.ensureTopics([spec]);
    return spec;
  }

  /** Rows of the group tables that name a group. */
  async function rowsOfGroup(group: string): Promise<number> {
    const [row] = await test.database.query<{ rows: number }>({
      text: `SELECT ((SELECT count(*) FROM event_log.group_member WHERE group_name = $1)
        + (SELECT count(*) FROM event_log.group_partition WHERE group_name = $1))::integer AS rows`,
      values: [group],
    });
    return row?.rows ?? 0;
  }

  describe('append', () => {
    it('never deadlocks and leaves no gap, however many appends touch the same partitions in whatever order', async () => {
      const log = open();
      const spec = await makeTopic(log, 12);
      const appends = Array.from({ length: 8 }, async (_, writer) => {
        for (let round = 0; round < 15; round += 1) {
          const records = numberedRecords(40, keyNames(40), writer * 10_000 + round * 40);
          await log.append(spec.topic, shuffled(records));
        }
      });
      await Promise.all(appends);
      const [row] = await test.database.query<Record<'records' | 'offsets' | 'heads', number>>({
        text: `
          SELECT count(*)::integer AS records, count(DISTINCT (record.partition, record.record_offset))::integer AS offsets,
            (SELECT sum(next_offset)::integer FROM event_log.head JOIN event_log.topic USING (topic_id) WHERE topic.topic = $1) AS heads
          FROM event_log.record JOIN event_log.topic USING (topic_id) WHERE topic.topic = $1`,
        values: [spec.topic],
      });
      expect(row).toEqual({ records: 4_800, offsets: 4_800, heads: 4_800 });
    });

    it('does not let a reader pass an append that commits late', async () => {
      const log = open();
      const spec = await makeTopic(log, 1);
      const store = new LogStore(test.database);
      const collector = new Collector();
      await subscribeReady(log, { group: uniqueName('group'), topics: [spec.topic], handler: collector.handler });
      let next: Promise<void> | undefined;
      await test.database.transaction(async (late) => {
        await store.append(await store.topic(spec.topic), numberedRecords(2, ['late']), late);
        next = log.append(spec.topic, numberedRecords(2, ['next']));
        await waitForLockWaiter(test);
        expect(collector.records).toHaveLength(0);
      });
      await next;
      await collector.has(['next:1']);
      expect(collector.texts).toEqual(['late:0', 'late:1', 'next:0', 'next:1']);
      expect(collector.records.map((record) => record.offset)).toEqual([0n, 1n, 2n, 3n]);
    });

    it('keeps each key in one partition when another client adds partitions', async () => {
      const [one, two] = [open(), open()];
      const spec = await makeTopic(one, 2);
      await one.append(spec.topic, numberedRecords(10, keyNames(10)));
      await two.ensureTopics([{ ...spec, partitions: 6 }]);
      await one.append(spec.topic, numberedRecords(30, keyNames(30), 100));
      await two.append(spec.topic, numberedRecords(30, keyNames(30), 200));
      const collector = new Collector();
      await subscribeReady(one, { group: uniqueName('group'), topics: [spec.topic], handler: collector.handler });
      await waitFor(() => collector.records.length === 70);
      const fresh = collector.records.filter((record) => Number(record.value.toString().split(':')[1]) >= 100);
      const partitionsOfKeys = keyNames(30).map(
        (key) => new Set(fresh.filter((record) => record.key === key).map((record) => record.partition)),
      );
      expect(partitionsOfKeys.map((partitions) => partitions.size)).toEqual(keyNames(30).map(() => 1));
    });

    it('refuses a record that is too large before it appends any', async () => {
      const log = open();
      const spec = await makeTopic(log, 1);
      const records = [...numberedRecords(2, ['a']), { key: 'a', value: Buffer.alloc(900_001) }];
      await expect(log.append(spec.topic, records)).rejects.toThrow(/900001 bytes/);
      expect(await log.lag(uniqueName('group'), [spec.topic])).toMatchObject([{ records: 0n }]);
    });
  });

  describe('groups', () => {
    async function ownedBy(): Promise<{ store: GroupStore; owner: Membership; claimed: Awaited<ReturnType<GroupStore['claim']>> }> {
      const log = open();
      const spec = await makeTopic(log, 1);
      const { topicId } = await new LogStore(test.database).topic(spec.topic);
      const store = new GroupStore(test.database);
      const owner = { group: uniqueName('group'), topicIds: [topicId], memberId: crypto.randomUUID(), leaseMs: 1 };
      await store.join(owner, 'earliest');
      const claimed = await store.claim({ ...owner, topicIds: [topicId] }, () => [{ topicId, partition: 0 }]);
      return { store, owner, claimed };
    }

    it('refuses the commit of a former owner, and never moves a committed offset back', async () => {
      const { store, owner, claimed } = await ownedBy();
      const [first] = claimed;
      if (first === undefined) throw new Error('nothing was claimed');
      expect(await store.commit(owner, first, 5n)).toBe(true);
      expect(await store.commit(owner, first, 3n)).toBe(true);

      const successor = { ...owner, memberId: crypto.randomUUID(), leaseMs: 60_000 };
      await store.join(successor, 'latest');
      const [second] = await store.claim(successor, (views) => freeOf(views));
      expect(second).toEqual({ ...first, epoch: first.epoch + 1n, committedOffset: 5n });
      expect(await store.commit(owner, first, 9n)).toBe(false);
      expect(await store.commit(successor, first, 9n)).toBe(false);
      await store.release(owner, first);
      expect(second !== undefined && (await store.commit(successor, second, 6n))).toBe(true);
      expect((await store.renew({ ...owner, leaseMs: 60_000 })).renewal).toBeUndefined();
    });

    it('shares twelve partitions among three members, four each, and among two when one leaves', async () => {
      const members = [open(), open(), open()];
      const [first, , third] = members;
      if (first === undefined || third === undefined) throw new Error('there are three');
      const spec = await makeTopic(first, 12);
      const group = uniqueName('group');
      const collectors = members.map(() => new Collector());
      const subscriptions = await Promise.all(
        members.map((log, index) => subscribeReady(log, { group, topics: [spec.topic], handler: collectors[index]?.handler ?? fail })),
      );
      const shares = async (): Promise<number[]> => {
        const rows = await test.database.query<{ partitions: number }>({
          text: 'SELECT count(*)::integer AS partitions FROM event_log.group_partition WHERE group_name = $1 GROUP BY member_id',
          values: [group],
        });
        return rows.map((row) => row.partitions);
      };
      expect(await shares()).toEqual([4, 4, 4]);
      await subscriptions[2]?.close(DRAIN_MS);
      await waitFor(async () => (await shares()).join() === '6,6');
      await first.append(spec.topic, numberedRecords(120, keyNames(60)));
      await waitFor(() => collectors.reduce((sum, collector) => sum + collector.records.length, 0) === 120);
      expect(collectors[2]?.records).toHaveLength(0);
    });

    it('reads partitions that are added while it runs, in groups and in broadcasts, from their first record', async () => {
      const log = open();
      const spec = await makeTopic(log, 1);
      const [shared, broadcast] = [new Collector(), new Collector()];
      const options = { topics: [spec.topic], from: 'latest' } as const;
      await subscribeReady(log, { ...options, group: uniqueName('group'), handler: shared.handler });
      await subscribeReady(log, { ...options, group: uniqueName('broadcast'), ephemeral: true, handler: broadcast.handler });
      await open().ensureTopics([{ ...spec, partitions: 5 }]);
      const records = numberedRecords(100, keyNames(50));
      await log.append(spec.topic, records);
      for (const collector of [shared, broadcast]) {
        await collector.has(textsOf(records));
        expect(collector.partitions).toEqual([0, 1, 2, 3, 4]);
      }
    });

    it('commits the finished front of a batch while its handler is still at work', async () => {
      const [doomed, next] = [open(), open()];
      const spec = await makeTopic(doomed, 1);
      const group = uniqueName('group');
      await doomed.append(spec.topic, numberedRecords(10, ['a']));
      const halfway = new Gate();
      const collector = new Collector(async (_batch, context) => {
        for (const offset of [0n, 1n, 3n, 2n, 7n]) context.finished(offset);
        await context.heartbeat();
        halfway.open();
        await new Promise((_resolve, reject) => context.signal.addEventListener('abort', () => reject(new Error('aborted'))));
      });
      await subscribeReady(doomed, { group, topics: [spec.topic], handler: collector.handler });
      await halfway.opened;
      expect(await next.lag(group, [spec.topic])).toMatchObject([{ records: 6n }]);
      await doomed.close(0);
      const after = new Collector();
      await subscribeReady(next, { group, topics: [spec.topic], handler: after.handler });
      await after.has(['a:9']);
      expect(after.texts[0]).toBe('a:4');
    });

    it('leaves no row behind of a broadcast, and no member behind of a group', async () => {
      const log = open();
      const spec = await makeTopic(log, 3);
      const [broadcast, group] = [uniqueName('broadcast'), uniqueName('group')];
      const collector = new Collector();
      await subscribeReady(log, { group: broadcast, ephemeral: true, topics: [spec.topic], handler: collector.handler });
      await subscribeReady(log, { group, topics: [spec.topic], handler: collector.handler });
      await log.append(spec.topic, numberedRecords(9, keyNames(9)));
      await waitFor(() => collector.records.length === 18);
      expect([await rowsOfGroup(broadcast), await rowsOfGroup(group)]).toEqual([0, 4]);
      await log.close(DRAIN_MS);
      expect([await rowsOfGroup(broadcast), await rowsOfGroup(group)]).toEqual([0, 3]);
    });

    it('leaves no member behind when Postgres is lost while it joins, although the join was committed', async () => {
      const log = open();
      const spec = await makeTopic(log, 1);
      const group = uniqueName('group');
      const store = new GroupStore(test.database);
      const join = store.join.bind(store);
      vi.spyOn(GroupStore.prototype, 'join').mockImplementationOnce(async (...args) => {
        await join(...args);
        throw new DatabaseUnavailableError('lost');
      });
      const options = {
        group,
        topics: [spec.topic],
        from: 'earliest',
        concurrency: 1,
        batchRecordsMax: 10,
        handler: async () => undefined,
      } as const;
      await expect(log.subscribe(options)).rejects.toThrow(DatabaseUnavailableError);
      const countMembers = async () => {
        const text = 'SELECT count(*)::integer AS members FROM event_log.group_member WHERE group_name = $1';
        return (await test.database.query<{ members: number }>({ text, values: [group] }))[0]?.members;
      };
      expect(await countMembers()).toBe(0);
      await sleep(2 * LEASE_MS);
      expect(await countMembers()).toBe(0);
    });

    it('goes on behind records that retention dropped, and does not count them as lag', async () => {
      const log = open();
      const spec = await makeTopic(log, 1);
      const group = uniqueName('group');
      const { topicId } = await new LogStore(test.database).topic(spec.topic);
      const subscription = await subscribeReady(log, { group, topics: [spec.topic], handler: new Collector().handler });
      await subscription.close(DRAIN_MS);
      await log.append(spec.topic, numberedRecords(10, ['a']));
      await test.database.execute({ text: 'DELETE FROM event_log.record WHERE topic_id = $1 AND record_offset < 7', values: [topicId] });
      expect(await log.lag(group, [spec.topic])).toMatchObject([{ records: 3n }]);
      const collector = new Collector();
      const reading = await subscribeReady(log, { group, topics: [spec.topic], handler: collector.handler });
      await collector.has(['a:7', 'a:8', 'a:9']);
      await reading.close(DRAIN_MS);

      await log.append(spec.topic, numberedRecords(5, ['a'], 10));
      await test.database.execute({ text: 'DELETE FROM event_log.record WHERE topic_id = $1', values: [topicId] });
      expect(await log.lag(group, [spec.topic])).toMatchObject([{ records: 0n }]);
      await subscribeReady(log, { group, topics: [spec.topic], handler: collector.handler });
      await log.append(spec.topic, numberedRecords(1, ['a'], 15));
      await collector.has(['a:15']);
      expect(collector.texts).toEqual(['a:7', 'a:8', 'a:9', 'a:15']);
    });
  });
});

function shuffled(records: readonly AppendRecord[]): AppendRecord[] {
  return records
    .map((record) => ({ record, order: Math.random() }))
    .toSorted((a, b) => a.order - b.order)
    .map(({ record }) => record);
}

/** Partitions whose owner is gone. */
function freeOf(views: readonly TopicView[]): { topicId: number; partition: number }[] {
  return views.flatMap(({ topicId, members, partitions }) =>
    partitions
      .filter((partition) => !members.some((member) => member.memberId === partition.memberId))
      .map(({ partition }) => ({ topicId, partition })),
  );
}

async function waitForLockWaiter({ database }: TestDatabase): Promise<void> {
  await waitFor(async () => {
    const [row] = await database.query<{ waiters: number }>({
      text: `SELECT count(*)::integer AS waiters FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    });
    return (row?.waiters ?? 0) > 0;
  });
}

function fail(): never {
  throw new Error('Each member has a collector.');
}
