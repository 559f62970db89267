import type { Database, Transaction } from '#database';
import type { MemberView, PartitionView } from './fair-share.js';
import { LeaseRenewals, type Renewal, type SentRenewal } from './lease-renewals.js';

/** Channel on which a group's name is sent when a member joins, leaves or gives a partition back. */
export const GROUP_CHANNEL = 'event_log_group';

/** A membership: one member of one group for some topics. */
export interface Membership {
  readonly group: string;
  readonly topicIds: readonly number[];
  readonly memberId: string;
  readonly leaseMs: number;
}

/** A group as seen by one topic. */
export interface TopicView {
  readonly topicId: number;
  readonly members: readonly MemberView[];
  readonly partitions: readonly (PartitionView & { readonly epoch: bigint })[];
  /** True when the topic has partitions that the group does not know yet. */
  readonly grown: boolean;
}

/** A partition that a member owns from now on. */
export interface ClaimedPartition {
  readonly topicId: number;
  readonly partition: number;
  readonly epoch: bigint;
  readonly committedOffset: bigint;
}

/** Names a partition as its owner does. */
export interface OwnedPartitionKey {
  readonly topicId: number;
  readonly partition: number;
  readonly epoch: bigint;
}

/** A group as it is read for one topic. */
interface ViewRow {
  readonly topicId: number;
  readonly members: readonly MemberView[];
  readonly partitions: readonly { partition: number; memberId: string | null; epoch: string }[];
  readonly partitionsOfTopic: number;
}

/**
 * All statements on groups: members with leases, owners with epochs, committed offsets.
 *
 * Concurrency: joining, leaving, giving up the dead and claiming run under one advisory lock per group, each in a short transaction, so
 * a claim is decided on rows that nobody else changes. Renewing a lease, committing and giving one's own partition back take no such
 * lock: each changes only rows that name the caller, and a commit or give-back that comes too late finds another epoch. The renewals of
 * a process are one statement over many groups. It waits for no row: one that is locked, by a claim that gives the member up or by an
 * earlier renewal that has lost its client, fails for its own membership only, which asks again. So there is nothing to deadlock with.
 */
export class GroupStore {
  private readonly renewals: LeaseRenewals;

  constructor(private readonly database: Database) {
    this.renewals = new LeaseRenewals((memberships) => this.renewAll(memberships));
  }

  /**
   * Makes a member, and the offsets of partitions that the group does not know: at `from` for a topic that is new to the group, at the
   * first record for partitions that were added later.
   */
  async join(membership: Membership, from: 'earliest' | 'latest'): Promise<void> {
    await this.inGroup(membership.group, async (tx) => {
      await tx.execute({
        text: `
          INSERT INTO event_log.group_member (group_name, topic_id, member_id, lease_expires_at)
          SELECT $1, topic_id, $3, clock_timestamp() + $4 * interval '1 millisecond' FROM unnest($2::integer[]) AS topic_id`,
        values: [membership.group, membership.topicIds, membership.memberId, membership.leaseMs],
      });
      await addPartitions(tx, membership, from);
      await notifyGroup(tx, membership.group);
    });
  }

  /** Renews the lease and reads the group, together with others. The renewal is `undefined` when the others gave the member up meanwhile. */
  renew(membership: Membership): Promise<SentRenewal> {
    return this.renewals.renew(membership);
  }

  /**
   * Gives up members whose lease ran out and lets `choose` pick partitions from the state that is true now.
   */
  async claim(
    membership: Membership,
    choose: (views: readonly TopicView[]) => readonly { readonly topicId: number; readonly partition: number }[],
  ): Promise<ClaimedPartition[]> {
    return this.inGroup(membership.group, async (tx) => {
      await tx.execute({
        text: 'DELETE FROM event_log.group_member WHERE group_name = $1 AND topic_id = ANY($2) AND lease_expires_at < clock_timestamp()',
        values: [membership.group, membership.topicIds],
      });
      await addPartitions(tx, membership, 'earliest');
      const rows = await tx.query<ViewRow>({
        text: `SELECT ${VIEW_COLUMNS} FROM (SELECT $1::text AS group_name, unnest($2::integer[]) AS topic_id) AS asked`,
        values: [membership.group, membership.topicIds],
      });
      const chosen = choose(rows.map((row) => toView(row)));
      if (chosen.length === 0) return [];
      return claimRows(tx, membership, chosen);
    });
  }

  /** Moves the committed offset forward. False when the partition is not ours any more: nothing was changed then. */
  async commit(membership: Membership, owned: OwnedPartitionKey, offset: bigint): Promise<boolean> {
    const touched = await this.database.execute({
      name: 'event_log.commit',
      text: `
        UPDATE event_log.group_partition SET committed_offset = greatest(committed_offset, $6)
        WHERE group_name = $1 AND topic_id = $2 AND partition = $3 AND member_id = $4 AND epoch = $5`,
      values: [membership.group, owned.topicId, owned.partition, membership.memberId, owned.epoch.toString(), offset.toString()],
    });
    return touched === 1;
  }

  /** Gives one partition back and tells the group. */
  async release(membership: Membership, owned: OwnedPartitionKey): Promise<void> {
    await this.database.execute({
      name: 'event_log.release',
      text: `
        WITH released AS (
          UPDATE event_log.group_partition SET member_id = NULL
          WHERE group_name = $1 AND topic_id = $2 AND partition = $3 AND member_id = $4 AND epoch = $5
          RETURNING group_name
        )
        SELECT pg_notify('${GROUP_CHANNEL}', group_name) FROM released`,
      values: [membership.group, owned.topicId, owned.partition, membership.memberId, owned.epoch.toString()],
    });
  }

  /** Takes the member and its ownership away and tells the group. */
  async leave(membership: Membership): Promise<void> {
    await this.inGroup(membership.group, async (tx) => {
      await tx.execute({
        text: 'DELETE FROM event_log.group_member WHERE group_name = $1 AND topic_id = ANY($2) AND member_id = $3',
        values: [membership.group, membership.topicIds, membership.memberId],
      });
      await tx.execute({
        text: 'UPDATE event_log.group_partition SET member_id = NULL WHERE group_name = $1 AND topic_id = ANY($2) AND member_id = $3',
        values: [membership.group, membership.topicIds, membership.memberId],
      });
      await notifyGroup(tx, membership.group);
    });
  }

  private async renewAll(memberships: readonly Membership[]): Promise<(Renewal | Error)[]> {
    const asked = memberships.flatMap((membership) => membership.topicIds.map((topicId) => ({ ...membership, topicId })));
    const rows = await this.database.query<ViewRow & { readonly memberId: string; readonly renewed: boolean }>({
      name: 'event_log.renew',
      text: RENEW,
      values: [
        asked.map(({ group }) => group),
        asked.map(({ topicId }) => topicId),
        asked.map(({ memberId }) => memberId),
        asked.map(({ leaseMs }) => leaseMs),
      ],
    });
    return memberships.map((membership) => {
      const ofMember = rows.filter(({ memberId }) => memberId === membership.memberId);
      if (ofMember.every(({ renewed }) => renewed)) return ofMember.map((row) => toView(withLease(row, membership)));
      const isThere = ofMember.every(({ members }) => members.some(({ memberId }) => memberId === membership.memberId));
      return isThere ? new Error(`The lease of a member of ${membership.group} is locked.`) : undefined;
    });
  }

  private async inGroup<T>(group: string, work: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.database.transaction(async (tx) => {
      await tx.query({
        name: 'event_log.lock_group',
        text: `SELECT pg_advisory_xact_lock(hashtextextended('event_log.group:' || $1, 0))`,
        values: [group],
      });
      return work(tx);
    });
  }
}

/** The group of each row of `asked` for the topic of that row. Leases as what is left of them, by the clock of the database. */
const VIEW_COLUMNS = `
  asked.topic_id AS "topicId",
  (SELECT coalesce(json_agg(json_build_object('memberId', member_id,
      'leaseMs', extract(epoch FROM lease_expires_at - clock_timestamp()) * 1000)), '[]')
    FROM event_log.group_member AS each WHERE each.group_name = asked.group_name AND each.topic_id = asked.topic_id) AS members,
  (SELECT coalesce(json_agg(json_build_object('partition', partition, 'memberId', member_id, 'epoch', epoch::text) ORDER BY partition), '[]')
    FROM event_log.group_partition AS each WHERE each.group_name = asked.group_name AND each.topic_id = asked.topic_id) AS partitions,
  (SELECT partitions FROM event_log.topic WHERE topic.topic_id = asked.topic_id) AS "partitionsOfTopic"`;

/**
 * $1 groups, $2 topic ids, $3 member ids, $4 leases in milliseconds, a row each. OFFSET 0 keeps the lengths of the arrays from the
 * planner: it would plan for them anew each time, and planning takes longer than the rest.
 */
const RENEW = `
  WITH asked AS MATERIALIZED (
    SELECT asked.* FROM (SELECT $1::text[] AS groups, $2::integer[] AS topics, $3::uuid[] AS members, $4::integer[] AS leases OFFSET 0) AS given,
      unnest(groups, topics, members, leases) AS asked (group_name, topic_id, member_id, lease_ms)
  ), unlocked AS MATERIALIZED (
    SELECT group_name, topic_id, member_id, lease_ms FROM asked JOIN event_log.group_member AS own USING (group_name, topic_id, member_id)
    FOR NO KEY UPDATE OF own SKIP LOCKED
  ), renewed AS (
    UPDATE event_log.group_member AS own SET lease_expires_at = clock_timestamp() + unlocked.lease_ms * interval '1 millisecond'
    FROM unlocked
    WHERE own.group_name = unlocked.group_name AND own.topic_id = unlocked.topic_id AND own.member_id = unlocked.member_id
    RETURNING own.topic_id, own.member_id
  )
  SELECT asked.member_id AS "memberId", (asked.topic_id, asked.member_id) IN (SELECT topic_id, member_id FROM renewed) AS renewed,
    ${VIEW_COLUMNS}
  FROM asked`;

/** Partitions the group does not know: a new topic starts at `from`, partitions added to a known topic start at their first record. */
async function addPartitions(tx: Transaction, membership: Membership, from: 'earliest' | 'latest'): Promise<void> {
  await tx.execute({
    text: `
      INSERT INTO event_log.group_partition (group_name, topic_id, partition, committed_offset)
      SELECT $1, head.topic_id, head.partition,
        CASE WHEN $3 = 'latest' AND NOT EXISTS (
          SELECT FROM event_log.group_partition AS known WHERE known.group_name = $1 AND known.topic_id = head.topic_id
        ) THEN head.next_offset ELSE 0 END
      FROM event_log.head WHERE head.topic_id = ANY($2)
      ON CONFLICT DO NOTHING`,
    values: [membership.group, membership.topicIds, from],
  });
}

async function claimRows(
  tx: Transaction,
  membership: Membership,
  chosen: readonly { readonly topicId: number; readonly partition: number }[],
): Promise<ClaimedPartition[]> {
  const rows = await tx.query<{ topic_id: number; partition: number; epoch: string; committed_offset: string }>({
    text: `
      UPDATE event_log.group_partition AS own SET member_id = $2, epoch = own.epoch + 1
      FROM unnest($3::integer[], $4::integer[]) AS chosen (topic_id, partition)
      WHERE own.group_name = $1 AND own.topic_id = chosen.topic_id AND own.partition = chosen.partition
      RETURNING own.topic_id, own.partition, own.epoch, own.committed_offset`,
    values: [membership.group, membership.memberId, chosen.map((each) => each.topicId), chosen.map((each) => each.partition)],
  });
  return rows.map((row) => ({
    topicId: row.topic_id,
    partition: row.partition,
    epoch: BigInt(row.epoch),
    committedOffset: BigInt(row.committed_offset),
  }));
}

async function notifyGroup(tx: Transaction, group: string): Promise<void> {
  await tx.query({ text: 'SELECT pg_notify($1, $2)', values: [GROUP_CHANNEL, group] });
}

/** The statement that renews a lease sees it as it was before. */
function withLease(row: ViewRow, { memberId, leaseMs }: Membership): ViewRow {
  return { ...row, members: row.members.map((each) => (each.memberId === memberId ? { ...each, leaseMs } : each)) };
}

function toView({ topicId, members, partitions, partitionsOfTopic }: ViewRow): TopicView {
  return {
    topicId,
    members,
    partitions: partitions.map((each) => ({ ...each, epoch: BigInt(each.epoch) })),
    grown: partitions.length < partitionsOfTopic,
  };
}
