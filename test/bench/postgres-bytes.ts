import type { Database } from '#database';

/** Written ahead by Postgres since its cluster was made, by whichever statement, full pages after a checkpoint included. */
export async function readWalBytes(database: Database): Promise<number> {
  const [row] = await database.query<{ bytes: string }>({ text: "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') AS bytes" });
  return Number(row?.bytes);
}

/** A table with its partitions, indexes and long values. */
export async function readTableBytes(database: Database, table: string): Promise<number> {
  const [row] = await database.query<{ bytes: string }>({
    text: 'SELECT sum(pg_total_relation_size(relid)) AS bytes FROM pg_partition_tree($1::regclass)',
    values: [table],
  });
  return Number(row?.bytes);
}
