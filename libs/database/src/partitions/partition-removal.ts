import type { Sql } from '../database.js';
import { listDetached, listPartitions, measurePartition, type TableSize } from './partition-catalog.js';
import { formatBound, type TimeRange } from './partition-ranges.js';
import type { PartitionedTable } from './partitioned-tables.js';

/** Bounds of a partition as its key is written: RFC 3339, or the smallest UUID of the millisecond. Half-open: `[from, to)`. */
export interface KeyRange {
  readonly from: string;
  readonly to: string;
}

/** Which partitions of a table are due. */
export interface PartitionDueness {
  /** A partition is due when its last moment is not younger. */
  readonly before: Date;
  /** True for one that must stay although it is old enough. */
  readonly isHeld?: (range: KeyRange, sql: Sql) => Promise<boolean>;
}

/** A partition that is due, with what would be gained. */
export interface DuePartition extends TableSize {
  readonly name: string;
  /** Its first moment; `undefined` when it was detached already. */
  readonly from: Date | undefined;
}

/** Who is asked before each change, so that a process which lost its right to remove changes nothing. */
export interface RemovalWarden {
  /**
   * Called directly before each change: in its transaction, or, for a change that refuses a transaction, as the statement before it on
   * the same session. @throws when the right is lost
   */
  allow(sql: Sql): Promise<void>;
  /** Called in the transaction that dropped a partition. */
  dropped(partition: DuePartition, sql: Sql): Promise<void>;
  /**
   * Postgres ends a session that is silent for longer, and a statement that runs for longer: whoever was stopped between `allow` and the
   * change finds its session gone.
   */
  readonly silenceMsMax: number;
}

/** Due and attached ones, oldest first, without those that are held. */
export async function findDue(
  sql: Sql,
  table: PartitionedTable,
  { before, isHeld }: PartitionDueness,
): Promise<(TimeRange & { name: string })[]> {
  const due: (TimeRange & { name: string })[] = [];
  for (const partition of await listPartitions(sql, table)) {
    if (partition.detachPending || partition.toMs > before.getTime()) continue;
    if (isHeld === undefined || !(await isHeld(keyRangeOf(table, partition), sql))) due.push(partition);
  }
  return due.sort((left, right) => left.fromMs - right.fromMs);
}

/** What `dropExpired` would drop now. Reads only; in a transaction. */
export async function surveyPartitions(sql: Sql, table: PartitionedTable, dueness: PartitionDueness): Promise<DuePartition[]> {
  // Bounds are printed in the session's time zone.
  await sql.query({ text: "SELECT set_config('timezone', 'UTC', true), set_config('datestyle', 'ISO', true)" });
  const pending = (await listPartitions(sql, table)).filter((partition) => partition.detachPending && partition.marked);
  const begun = [...(await listDetached(sql, table)), ...pending.map(({ name }) => name)];
  const due = await findDue(sql, table, dueness);
  const survey: DuePartition[] = [];
  for (const name of begun) survey.push({ name, from: undefined, ...(await measurePartition(sql, table, name)) });
  for (const { name, fromMs } of due) survey.push({ name, from: new Date(fromMs), ...(await measurePartition(sql, table, name)) });
  return survey;
}

function keyRangeOf(table: PartitionedTable, { fromMs, toMs }: TimeRange): KeyRange {
  // A partition that an operator made without a lower bound begins with the epoch.
  return { from: formatBound(table.key.type, Math.max(fromMs, 0)), to: formatBound(table.key.type, toMs) };
}
