import { Client } from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase, waitFor } from '#testing';
import { DatabaseNotMigratedError, MigrationBlockedError } from './database.errors.js';
import { assertMigrated, migrate, MIGRATION_TABLE, pendingMigrations } from './migrate.js';
import { MIGRATIONS } from './migrations/index.js';

const NAMES = MIGRATIONS.map((migration) => migration.name);

describe('migrate', () => {
  let test: TestDatabase;
  beforeEach(async () => {
    test = await createTestDatabase({ migrated: false });
  });
  afterEach(() => test.close());

  it('brings an empty database to the schema, and finds nothing to do then', async () => {
    await expect(assertMigrated(test.database)).rejects.toThrow(DatabaseNotMigratedError);
    expect(await pendingMigrations(test.database)).toEqual(NAMES);
    expect(await migrate(test.url)).toEqual(NAMES);
    await assertMigrated(test.database);
    expect(await migrate(test.url)).toEqual([]);
  });

  it('runs each migration once when several processes start together', async () => {
    const ran = await Promise.all([migrate(test.url), migrate(test.url), migrate(test.url)]);
    expect(ran.map((names) => names.length).sort((a, b) => a - b)).toEqual([0, 0, NAMES.length]);
    const rows = await test.database.query<{ name: string }>({ text: `SELECT name FROM ${MIGRATION_TABLE} ORDER BY id` });
    expect(rows.map((row) => row.name)).toEqual(NAMES);
  });

  it('sees a database that lacks the newest migration as not migrated, and one that is further on as migrated', async () => {
    await migrate(test.url);
    await test.database.execute({
      text: `INSERT INTO ${MIGRATION_TABLE} (timestamp, name) VALUES (9999999999999, 'FromTheFuture9999999999999')`,
    });
    await assertMigrated(test.database);
    await test.database.execute({ text: `DELETE FROM ${MIGRATION_TABLE} WHERE name = $1`, values: [NAMES.at(-1)] });
    expect(await pendingMigrations(test.database)).toEqual([NAMES.at(-1)]);
  });

  it('gives up with a clear word when another process holds the migrations', async () => {
    const other = new Client({ connectionString: test.url });
    await other.connect();
    await other.query('SELECT pg_advisory_lock(6238002)');
    await expect(migrate(test.url, { lockWaitMsMax: 100 })).rejects.toThrow(MigrationBlockedError);
    await other.end();
    expect(await migrate(test.url)).toEqual(NAMES);
  });

  it('goes on when the process that held the migrations was killed', async () => {
    const other = new Client({ connectionString: test.url });
    other.on('error', () => undefined);
    await other.connect();
    await other.query('SELECT pg_advisory_lock(6238002)');
    const waiting = migrate(test.url);
    await waitFor(
      async () => (await test.database.query({ text: 'SELECT FROM pg_locks WHERE objid = 6238002 AND NOT granted' })).length === 1,
    );
    await test.database.execute({ text: 'SELECT pg_terminate_backend(pid) FROM pg_locks WHERE objid = 6238002 AND granted' });
    expect(await waiting).toEqual(NAMES);
  });

  it('tries again when a table is locked for longer than the lock timeout', async () => {
    await test.database.execute({
      text: 'CREATE TABLE public.schema_migration (id serial PRIMARY KEY, timestamp bigint NOT NULL, name varchar NOT NULL)',
    });
    const warnings: string[] = [];
    const log = { info: () => undefined, warn: (event: string) => void warnings.push(event), error: () => undefined };
    let migrating: Promise<readonly string[]> | undefined;
    await test.database.transaction(async (tx) => {
      await tx.execute({ text: 'LOCK TABLE public.schema_migration IN ACCESS EXCLUSIVE MODE' });
      migrating = migrate(test.url, { log });
      await waitFor(() => warnings.includes('database.migration.blocked'), { timeoutMs: 20_000 });
    });
    expect(await migrating).toEqual(NAMES);
  });
});
