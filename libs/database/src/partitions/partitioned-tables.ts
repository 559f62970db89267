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
  /** The lib that writes the table and declares its retention. */
  readonly owner: string;
}

/** Every partitioned table of the schema. `migrate` leaves their first partitions in place, the apps keep them ahead, and the retention
 * policies of their owners drop the old ones. */
export const PARTITIONED_TABLES: readonly PartitionedTable[] = [
  {
    parent: 'event_log.record',
    key: { column: 'appended_at', type: 'timestamptz' },
    interval: 'day',
    ahead: 3,
    owner: 'event-log',
  },
  {
    parent: 'inbox.message',
    key: { column: 'message_key', type: 'uuidv7' },
    interval: 'week',
    ahead: 4,
    owner: 'inbox',
  },
  {
    parent: 'push.delivery',
    key: { column: 'message_key', type: 'uuidv7' },
    interval: 'week',
    ahead: 4,
    owner: 'push',
  },
  {
    parent: 'engagement.receipt',
    key: { column: 'message_key', type: 'uuidv7' },
    interval: 'week',
    ahead: 4,
    owner: 'engagement',
  },
  {
    parent: 'engagement.message_count',
    key: { column: 'message_key', type: 'uuidv7' },
    interval: 'week',
    ahead: 4,
    owner: 'engagement',
  },
];

/** The declaration of a partitioned table by its name. */
export function partitionedTable(parent: string): PartitionedTable {
  const table = PARTITIONED_TABLES.find((each) => each.parent === parent);
  if (table === undefined) throw new Error(`No partitioned table is declared as ${parent}.`);
  return table;
}
