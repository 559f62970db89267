import type { Database } from '#database';

/** Whose rows: they are found by what stands in them, so that no table is forgotten. */
export interface RowOwner {
  readonly environmentId: string;
  /** UUID. */
  readonly subscriberId: string;
  readonly externalId: string;
  readonly companyId: string;
}

/**
 * Every row of every table that names the owner, as text, in order: equal when nothing of the owner was added, changed or removed, not even
 * a record that waits to be published. Records hold their values as bytes, so that they are searched for bytes.
 *
 * @param others what stands in rows of other people, who may write into their own what they like
 */
export async function snapshotRows(database: Database, owner: RowOwner, others: readonly string[]): Promise<readonly string[]> {
  const tables = await database.query<{ name: string; scoped: boolean }>({
    text: `SELECT format('%I.%I', namespace.nspname, class.relname) AS name,
        EXISTS (SELECT FROM pg_attribute WHERE attrelid = class.oid AND attname = 'environment_id') AS scoped
      FROM pg_class AS class JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
      WHERE class.relkind IN ('r', 'p') AND NOT class.relispartition AND namespace.nspname !~ '^(pg_|information_schema)' ORDER BY 1`,
  });
  const selects = tables.map(
    ({ name, scoped }) => `SELECT '${name}: ' || t::text AS row FROM ${name} AS t
      WHERE t::text LIKE ANY ($2) OR (${scoped ? 'environment_id = $1 AND t::text LIKE ANY ($3)' : 'false'})`,
  );
  const unique = [owner.subscriberId, Buffer.from(owner.subscriberId, 'utf8').toString('hex')];
  const rows = await database.query<{ row: string }>({
    text: `SELECT row FROM (${selects.join(' UNION ALL ')}) AS found ORDER BY row`,
    values: [owner.environmentId, unique.map(containing), [owner.externalId, owner.companyId].map(containing)],
  });
  const marks = others.flatMap((text) => [text, Buffer.from(text, 'utf8').toString('hex')]);
  return rows.map(({ row }) => row).filter((row) => !marks.some((mark) => row.includes(mark)));
}

function containing(text: string): string {
  return `%${text.replaceAll(/[%_\\]/g, String.raw`\$&`)}%`;
}
