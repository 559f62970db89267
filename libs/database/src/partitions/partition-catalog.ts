/** What the catalog knows of partitions, and the names of tables as SQL writes them. */
import { escapeIdentifier } from 'pg';
import type { Sql } from '../database.js';
import { parseBounds, type TimeRange } from './partition-ranges.js';
import type { PartitionedTable } from './partitioned-tables.js';

/** One attached partition. */
export interface Partition extends TimeRange {
  readonly name: string;
  readonly detachPending: boolean;
  /** It carries our mark: it is being dropped. */
  readonly marked: boolean;
}

/** How much a table holds. */
export interface TableSize {
  /** Counted up to `COUNTED_BYTES_MAX`, beyond that the planner's estimate. */
  readonly rows: number;
  readonly bytes: number;
}

/** Tables up to this size are counted; larger ones would be read for minutes. */
const COUNTED_BYTES_MAX = 256 * 1024 * 1024;

/** The partitions of a table by name, in a session with time zone UTC and date style ISO. */
export async function listPartitions(sql: Sql, table: PartitionedTable): Promise<Partition[]> {
  const rows = await sql.query<{ name: string; bounds: string; detachPending: boolean; marked: boolean }>({
    text: `SELECT child.relname AS name, pg_get_expr(child.relpartbound, child.oid) AS bounds, inherits.inhdetachpending AS "detachPending",
             coalesce(obj_description(child.oid, 'pg_class') = $2, false) AS marked
           FROM pg_inherits AS inherits JOIN pg_class AS child ON child.oid = inherits.inhrelid
           WHERE inherits.inhparent = $1::regclass
           ORDER BY child.relname`,
    values: [quote(table.parent), markOf(table)],
  });
  return rows.map(({ bounds, ...row }) => ({ ...row, ...parseBounds(table.key.type, bounds) }));
}

/** Tables that were detached to be dropped, and were not. */
export async function listDetached(sql: Sql, table: PartitionedTable): Promise<string[]> {
  const rows = await sql.query<{ name: string }>({
    text: `SELECT relname AS name FROM pg_class
           WHERE relnamespace = $1::regnamespace AND relkind = 'r' AND NOT relispartition AND obj_description(oid, 'pg_class') = $2
           ORDER BY relname`,
    values: [escapeIdentifier(splitName(table.parent).schema), markOf(table)],
  });
  return rows.map((row) => row.name);
}

/** Rows and bytes of one partition with its indexes and its TOAST table. */
export async function measurePartition(sql: Sql, table: PartitionedTable, name: string): Promise<TableSize> {
  const [size] = await sql.query<{ rows: number; bytes: number; heapBytes: number }>({
    text: `SELECT greatest(reltuples, 0)::double precision AS rows, pg_total_relation_size(oid)::double precision AS bytes,
             pg_relation_size(oid)::double precision AS "heapBytes"
           FROM pg_class WHERE oid = $1::regclass`,
    values: [quoteChild(table, name)],
  });
  const { rows = 0, bytes = 0, heapBytes = 0 } = size ?? {};
  if (heapBytes > COUNTED_BYTES_MAX) return { rows, bytes };
  const [counted] = await sql.query<{ rows: number }>({
    text: `SELECT count(*)::double precision AS rows FROM ${quoteChild(table, name)}`,
  });
  return { rows: counted?.rows ?? rows, bytes };
}

/** The comment of a partition that is being dropped. */
export function markOf(table: PartitionedTable): string {
  return `belfry: expired partition of ${table.parent}, to be dropped`;
}

/** Both halves of `schema.table`. */
export function splitName(parent: string): { schema: string; table: string } {
  const [schema, table] = parent.split('.');
  if (schema === undefined || table === undefined) throw new Error(`Not a name of the form schema.table: ${parent}`);
  return { schema, table };
}

/** The parent as SQL writes it. */
export function quote(parent: string): string {
  const { schema, table } = splitName(parent);
  return `${escapeIdentifier(schema)}.${escapeIdentifier(table)}`;
}

/** A partition as SQL writes it. */
export function quoteChild(table: PartitionedTable, name: string): string {
  return `${escapeIdentifier(splitName(table.parent).schema)}.${escapeIdentifier(name)}`;
}
