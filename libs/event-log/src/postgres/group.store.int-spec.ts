import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Database } from '#database';
import { createTestDatabase, type TestDatabase, waitFor } from '#testing';
import { Collector, DRAIN_MS, subscribeReady, uniqueName } from '../conformance/harness.js';
import { GroupStore, type Membership } from './group.store.js';
import { LogStore } from './log.store.js';
import { PostgresEventLog } from './postgres-event-log.js';

const LEASE_MS = 1_500;

describe('group-store', () => {
  let test: TestDatabase;
  /** Members of each renewal that was sent. */
  let renewals: string[][] = [];
  let database: Database;

  beforeAll(async () => {
    test = await createTestDatabase();
    database = withRenewals(test.database, (members) => renewals.push(members));
  });
  afterAll(() => test.close());

  /** A group of its own with one member, which owns everything. */
  async function makeMember(store: GroupStore, topics = 1): Promise<Membership> {
    const logStore = new LogStore(database);
    const names = Array.from({ length: topics }, () => uniqueName('test.record.appended'));
    await logStore.ensureTopics(names.map((topic) => ({ topic, partitions: 2, retentionHours: 1 })));
    const topicIds = (await Promise.all(names.map((name) => logStore.topic(name)))).map(({ topicId }) => topicId);
    const member = { group: uniqueName('group'), topicIds, memberId: crypto.randomUUID(), leaseMs: 60_000 };
    await store.join(member, 'earliest');
    await store.claim(member, (views) =>
      views.flatMap(({ topicId, partitions }) => partitions.map(({ partition }) => ({ topicId, partition }))),
    );
    return member;
  }

  async function leaseMsOf({ memberId }: Membership): Promise<number[]> {
    const rows = await test.database.query<{ leaseMs: number }>({
      text: `SELECT (extract(epoch FROM lease_expires_at - clock_timestamp()) * 1000)::integer AS "leaseMs"
             FROM event_log.group_member WHERE member_id = $1`,
      values: [memberId],
    });
    return rows.map((row) => row.leaseMs);
  }

  it('renews members of several groups with one statement, each with its own lease and its own view', async () => {
    const store = new GroupStore(database);
    const [one, two, gone] = [await makeMember(store), await makeMember(store, 2), await makeMember(store)];
    await store.leave(gone);
    renewals = [];
    const answers = await Promise.all([
      store.renew({ ...one, leaseMs: 120_000 }),
      store.renew(gone),
      store.renew({ ...two, leaseMs: 240_000 }),
    ]);
    expect(renewals).toEqual([[one, gone, two, two].map(({ memberId }) => memberId)]);
    const viewOf = (topicId: number, { memberId }: Membership, leaseMs: number) => ({
      topicId,
      members: [{ memberId, leaseMs }],
      partitions: [0, 1].map((partition) => ({ partition, memberId, epoch: 1n })),
      grown: false,
    });
    expect(answers.map(({ renewal }) => renewal)).toEqual([
      one.topicIds.map((topicId) => viewOf(topicId, one, 120_000)),
      undefined,
      two.topicIds.map((topicId) => viewOf(topicId, two, 240_000)),
    ]);
    for (const [member, leaseMs] of [[one, 120_000] as const, [two, 240_000] as const]) {
      const leases = await leaseMsOf(member);
      expect(leases).toHaveLength(member.topicIds.length);
      for (const left of leases) expect(leaseMs - left).toBeLessThan(50_000);
    }
  });

  it('shows a renewing member who came, whose lease ended, what was given back, and that a topic has grown', async () => {
    const store = new GroupStore(database);
    const member = await makeMember(store);
    const [came, ended] = [60_000, -1_000].map((leaseMs) => ({ ...member, memberId: crypto.randomUUID(), leaseMs }));
    if (came === undefined || ended === undefined) throw new Error('there are two');
    for (const other of [came, ended]) await store.join(other, 'earliest');
    const [topicId = 0] = member.topicIds;
    await store.release(member, { topicId, partition: 1, epoch: 1n });
    await test.database.execute({ text: 'UPDATE event_log.topic SET partitions = 3 WHERE topic_id = $1', values: [topicId] });
    const [view] = (await store.renew(member)).renewal ?? [];
    expect(view).toMatchObject({ grown: true, partitions: [{ memberId: member.memberId }, { memberId: null }] });
    const leases = new Map(view?.members.map(({ memberId, leaseMs }) => [memberId, leaseMs]));
    expect(leases.size).toBe(3);
    expect(leases.get(came.memberId)).toBeGreaterThan(0);
    expect(leases.get(ended.memberId)).toBeLessThan(0);
  });

  it('does not wait for a claim that hangs while it gives a member up: it fails for that one, the other groups of the process keep their leases', async () => {
    const store = new GroupStore(database);
    const [doomed, other] = [await makeMember(store), await makeMember(store)];
    await test.database.transaction(async (hanging) => {
      await hanging.execute({ text: 'DELETE FROM event_log.group_member WHERE member_id = $1', values: [doomed.memberId] });
      const ofDoomed = expect(store.renew(doomed)).rejects.toThrow('is locked');
      expect((await store.renew({ ...other, leaseMs: 120_000 })).renewal).toHaveLength(1);
      await ofDoomed;
    });
    expect((await store.renew(doomed)).renewal).toBeUndefined();
    expect((await leaseMsOf(other))[0]).toBeGreaterThan(60_000);
  });

  it('gives the subscriptions of a process one renewal for a third of the lease', async () => {
    const log = new PostgresEventLog({ database, leaseMs: LEASE_MS });
    const topics = Array.from({ length: 3 }, () => uniqueName('test.record.appended'));
    await log.ensureTopics(topics.map((topic) => ({ topic, partitions: 2, retentionHours: 1 })));
    for (const topic of topics)
      await subscribeReady(log, { group: uniqueName('group'), topics: [topic], handler: new Collector().handler });
    renewals = [];
    const startedAtMs = performance.now();
    await waitFor(() => renewals.length >= 5);
    const rounds = (performance.now() - startedAtMs) / (LEASE_MS / 3);
    await log.close(DRAIN_MS);
    expect(renewals.slice(1, 5).map((members) => new Set(members).size)).toEqual([3, 3, 3, 3]);
    expect(rounds).toBeGreaterThan(3);
  });
});

/** Tells of each renewal whom it names. */
function withRenewals(database: Database, onRenewal: (members: string[]) => void): Database {
  return new Proxy(database, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (property !== 'query') return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      return (statement: Parameters<Database['query']>[0]) => {
        if (statement.name === 'event_log.renew') onRenewal(statement.values?.[2] as string[]);
        return target.query(statement);
      };
    },
  });
}
