import type { Sql, Transaction } from '../database.js';
import type { PartitionDueness } from '../partitions/partition-removal.js';
import type { PartitionedTable } from '../partitions/partitioned-tables.js';

/** What of one table is due, read without changing anything. */
export interface DueRows {
  readonly rows: number;
  /** Age of the oldest; null when there are none or they have no time of their own. */
  readonly oldestAt: Date | null;
  /** Bytes of the rows themselves, without indexes; null where they are not measured. */
  readonly bytes: number | null;
}

/** Rows that are deleted in bounded batches. Its statements decide by the cutoff alone, so progress is the data itself. */
export interface RowStep {
  readonly kind: 'rows';
  /** `schema.table` */
  readonly table: string;
  /** What is due, by table. */
  survey(cutoff: Date, sql: Sql): Promise<Readonly<Record<string, DueRows>>>;
  /** Whether anything is due. */
  isDue(cutoff: Date, sql: Sql): Promise<boolean>;
  /** Deletes at most `limit` rows. Rows that others hold are left for later. @returns rows deleted, by table */
  remove(cutoff: Date, limit: number, tx: Transaction): Promise<Readonly<Record<string, number>>>;
}

/** Whole partitions that are dropped. */
export interface PartitionStep {
  readonly kind: 'partitions';
  readonly table: PartitionedTable;
  readonly isHeld?: PartitionDueness['isHeld'];
}

export type RetentionStep = RowStep | PartitionStep;

/**
 * What a lib lets go of its own tables, and when. The lib that owns the tables declares it; the retention context carries it out, for all
 * environments, one process at a time.
 */
export interface RetentionPolicy {
  /** `<context>.<what>`: names its lease, its history and its metrics. */
  readonly name: string;
  /** Completes "removes …". */
  readonly removes: string;
  /** The setting that gives the period; absent where the period is part of an API's contract. */
  readonly setting?: string;
  /** From when an age is counted: completes "counted from …". */
  readonly countedFrom: string;
  readonly keptHours: number;
  /** In this order: what depends on a row goes before it. */
  readonly steps: readonly RetentionStep[];
}

/** Hours of so many days. */
export function hoursOfDays(days: number): number {
  return days * 24;
}

/** The table of a step, as `schema.table`. */
export function tableOf(step: RetentionStep): string {
  return step.kind === 'rows' ? step.table : step.table.parent;
}
