/** Length of one partition, in UTC; a week begins on Monday. */
export type PartitionInterval = 'day' | 'week' | 'month';

/**
 * A table partitioned by RANGE over time. It has no DEFAULT partition: Postgres detaches concurrently only without one.
 *
 * A parent declares no per-row trigger and no foreign key to it; its partitions are made by `PartitionManager` alone.
 */
export interface PartitionedTable {
  /** `schema.table` */
  readonly parent: string;
  /** The partition key. Of a `uuidv7` the leading 48 bits, its time in milliseconds, decide. */
  readonly key: { readonly column: string; readonly type: 'timestamptz' | 'uuidv7' };
  readonly interval: PartitionInterval;
  /** Whole partitions that must exist after the current one. */
  readonly ahead: number;
  /** A partition is dropped when its last moment is older. */
  readonly retentionDays: number;
  /** The lib that writes the table and answers for its retention. */
  readonly owner: string;
}

/** Every partitioned table of the schema. `migrate` leaves their first partitions in place; the apps keep them up and drop the old ones. */
export const PARTITIONED_TABLES: readonly PartitionedTable[] = [
  {
    parent: 'event_log.record',
    key: { column: 'appended_at', type: 'timestamptz' },
    interval: 'day',
    ahead: 3,
    // No shorter than the longest `retentionHours` of a topic.
    retentionDays: 3,
    owner: 'event-log',
  },
  {
    parent: 'inbox.message',
    key: { column: 'message_key', type: 'uuidv7' },
    interval: 'week',
    ahead: 4,
    retentionDays: 90,
    owner: 'inbox',
  },
  {
    parent: 'push.delivery',
    key: { column: 'message_key', type: 'uuidv7' },
    interval: 'week',
    ahead: 4,
    // Longer than a message may wait for its delivery (90 days), so that a run that was paused for long finds its deliveries.
    retentionDays: 120,
    owner: 'push',
  },
  {
    parent: 'engagement.receipt',
    key: { column: 'message_key', type: 'uuidv7' },
    interval: 'week',
    ahead: 4,
    retentionDays: 180,
    owner: 'engagement',
  },
  {
    parent: 'engagement.message_count',
    key: { column: 'message_key', type: 'uuidv7' },
    interval: 'week',
    ahead: 4,
    // As long as the receipts: counts equal a recount.
    retentionDays: 180,
    owner: 'engagement',
  },
];
