import type { Database, Transaction } from '#database';
import type { MemberView, PartitionView } from './fair-share.js';

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

interface ViewRow {
  readonly renewed: number;
  readonly members: { topicId: number; memberId: string; leaseMs: number }[];
  readonly partitions: { topicId: number; partition: number; memberId: string | null; epoch: string }[];
  readonly topics: { topicId: number; partitions: number }[];
}

/**
 * All statements on groups: members with leases, owners with epochs, committed offsets.
 *
 * Concurrency: joining, leaving, giving up the dead and claiming run under one advisory lock per group, each in a short transaction, so
 * a claim is decided on rows that nobody else changes. Renewing a lease, committing and giving one's own partition back take no such
 * lock: each changes only rows that name the caller, and a commit or give-back that comes too late finds another epoch.
 */
export class GroupStore {
  constructor(private readonly database: Database) {}

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

  /** Renews the lease and reads the group. `undefined` when the others gave the member up meanwhile. */
  async renew(membership: Membership): Promise<TopicView[] | undefined> {
    const [row] = await this.database.query<ViewRow>({
      name: 'event_log.renew',
      text: `
        WITH renewed AS (
          UPDATE event_log.group_member SET lease_expires_at = clock_timestamp() + $4 * interval '1 millisecond'
          WHERE group_name = $1 AND topic_id = ANY($2::integer[]) AND member_id = $3
          RETURNING topic_id
        )
        SELECT (SELECT count(*)::integer FROM renewed) AS renewed, ${VIEW_COLUMNS}`,
      values: [membership.group, membership.topicIds, membership.memberId, membership.leaseMs],
    });
    if (row === undefined || row.renewed < membership.topicIds.length) return undefined;
    // The statement saw our lease as it was before it was renewed.
    const members = row.members.map((each) => (each.memberId === membership.memberId ? { ...each, leaseMs: membership.leaseMs } : each));
    return toViews(membership, { ...row, members });
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
      const [row] = await tx.query<ViewRow>({
        text: `SELECT 0 AS renewed, ${VIEW_COLUMNS}`,
        values: [membership.group, membership.topicIds],
      });
      const chosen = row === undefined ? [] : choose(toViews(membership, row));
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

/** $1 group, $2 topic ids. Leases as what is left of them, by the clock of the database. */
const VIEW_COLUMNS = `
  (SELECT coalesce(json_agg(json_build_object('topicId', topic_id, 'memberId', member_id,
      'leaseMs', extract(epoch FROM lease_expires_at - clock_timestamp()) * 1000)), '[]')
    FROM event_log.group_member WHERE group_name = $1 AND topic_id = ANY($2::integer[])) AS members,
  (SELECT coalesce(json_agg(json_build_object('topicId', topic_id, 'partition', partition, 'memberId', member_id, 'epoch', epoch::text)
      ORDER BY topic_id, partition), '[]')
    FROM event_log.group_partition WHERE group_name = $1 AND topic_id = ANY($2::integer[])) AS partitions,
  (SELECT coalesce(json_agg(json_build_object('topicId', topic_id, 'partitions', partitions)), '[]')
    FROM event_log.topic WHERE topic_id = ANY($2::integer[])) AS topics`;

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

function toViews(membership: Membership, row: ViewRow): TopicView[] {
  return membership.topicIds.map((topicId) => {
    const partitions = row.partitions.filter((each) => each.topicId === topicId);
    const total = row.topics.find((each) => each.topicId === topicId)?.partitions ?? 0;
    return {
      topicId,
      members: row.members.filter((each) => each.topicId === topicId),
      partitions: partitions.map((each) => ({ partition: each.partition, memberId: each.memberId, epoch: BigInt(each.epoch) })),
      grown: partitions.length < total,
    };
  });
}
