import type { Sql, Transaction } from '../database.js';
import { formatBound } from '../partitions/partition-ranges.js';
import type { DueRows, RowStep } from './retention-policy.js';

/** Rows of one table that go by one condition. */
export interface RowStepSpec {
  /** `schema.table`; the conditions call a row of it `doomed`. */
  readonly table: string;
  /**
   * SQL condition of the rows that are due. `$1` is the cutoff: a time, or with `cutoffAs: 'uuid'` the smallest UUIDv7 of that time. An index
   * must lead to the rows, because the condition is asked again for each batch.
   */
  readonly due: string;
  /** SQL expression of a row's age, a timestamptz. */
  readonly age: string;
  readonly cutoffAs?: 'time' | 'uuid';
  /** SQL condition that holds as soon as the steps before are through: what depends on the row is gone. */
  readonly after?: string;
  /** Columns that `alsoRemove` needs of the deleted rows, as SQL writes them. */
  readonly returning?: string;
  /** What each row has one of in another table, and nobody else uses. */
  readonly withEach?: {
    readonly table: string;
    /** Deletes them in the same transaction. @returns how many there were */
    remove(rows: readonly Record<string, string>[], tx: Transaction): Promise<number>;
  };
}

/** Makes the step: the survey and the batches share the condition, so that a dry run says what a run does. */
export function rowStep(spec: RowStepSpec): RowStep {
  const { table, due, age, cutoffAs = 'time', after = 'true', returning = '1 AS one', withEach } = spec;
  const valueOf = (cutoff: Date): unknown => (cutoffAs === 'time' ? cutoff : formatBound('uuidv7', Math.max(cutoff.getTime(), 0)));
  return {
    kind: 'rows',
    table,
    async survey(cutoff, sql: Sql) {
      const [found] = await sql.query<DueRows>({
        text: `-- every environment: retention
          SELECT count(*)::double precision AS rows, min(${age}) AS "oldestAt", coalesce(sum(pg_column_size(doomed)), 0)::double precision AS bytes
          FROM ${table} AS doomed WHERE ${due}`,
        values: [valueOf(cutoff)],
      });
      const own = found ?? { rows: 0, oldestAt: null, bytes: 0 };
      return { [table]: own, ...(withEach === undefined ? {} : { [withEach.table]: { ...own, bytes: null } }) };
    },
    async isDue(cutoff, sql) {
      const [answer] = await sql.query<{ due: boolean }>({
        text: `-- every environment: retention
          SELECT EXISTS (SELECT FROM ${table} AS doomed WHERE ${due}) AS due`,
        values: [valueOf(cutoff)],
      });
      return answer?.due === true;
    },
    async remove(cutoff, limit, tx) {
      const removed = await tx.query<Record<string, string>>({
        text: `-- every environment: retention
          DELETE FROM ${table} WHERE ctid = ANY (ARRAY(
            SELECT doomed.ctid FROM ${table} AS doomed WHERE (${due}) AND (${after}) LIMIT $2 FOR UPDATE OF doomed SKIP LOCKED))
          RETURNING ${returning}`,
        values: [valueOf(cutoff), limit],
      });
      const own = { [table]: removed.length };
      return withEach === undefined ? own : { ...own, [withEach.table]: removed.length === 0 ? 0 : await withEach.remove(removed, tx) };
    },
  };
}
