/**
 * Brings a database to the schema of this code: the classes of `MIGRATIONS` in order, each in its own transaction, then the partitions
 * that must exist before the first write.
 *
 * Invariants: one process migrates at a time (session advisory lock on a connection of its own, which Postgres drops when the process
 * dies); a statement waits a short time only for a table's lock, because every query on the table queues behind one that waits, and is
 * tried again later. Several processes may call it at the same time; the later ones find nothing to do.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { DataSource } from 'typeorm';
import { SystemClock } from '#contracts';
import { Database, type Sql } from './database.js';
import { type DatabaseLog, SILENT_LOG } from './database-log.js';
import {
  DatabaseNotMigratedError,
  errorCodeOf,
  LOCK_NOT_AVAILABLE_SQLSTATE,
  MigrationBlockedError,
  translateError,
} from './database.errors.js';
import { MIGRATIONS } from './migrations/index.js';
import { PartitionManager } from './partitions/partition-manager.js';
import { PARTITIONED_TABLES } from './partitions/partitioned-tables.js';
import { untilAvailable } from './until-available.js';

export interface MigrateOptions {
  readonly log?: DatabaseLog;
  /** How long to wait for another process that migrates. */
  readonly lockWaitMsMax?: number;
  /** How long to wait for a server that is still starting; not at all by default. */
  readonly startWaitMs?: number;
}

/** Where TypeORM notes what has run. */
export const MIGRATION_TABLE = 'schema_migration';

/** Key of the advisory lock that migrations hold. */
const MIGRATION_LOCK_KEY = 6_238_002;
const LOCK_WAIT_MS_MAX = 300_000;
const TABLE_LOCK_TIMEOUT_MS = 5_000;
const BLOCKED_ATTEMPTS_MAX = 10;
const BLOCKED_DELAY_MS = 1_000;

/**
 * Runs what is pending and gives the names of what it ran (after a blocked attempt: of the last one).
 * @throws MigrationBlockedError when a lock did not come; DatabaseUnavailableError.
 */
export async function migrate(url: string, options: MigrateOptions = {}): Promise<readonly string[]> {
  const { log = SILENT_LOG, lockWaitMsMax = LOCK_WAIT_MS_MAX, startWaitMs = 0 } = options;
  const lock = await untilAvailable(() => connectForLock(url), { waitMs: startWaitMs, log });
  const startedMs = performance.now();
  try {
    await lock.query("SELECT set_config('lock_timeout', $1, false)", [String(lockWaitMsMax)]);
    await lock.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK_KEY]);
    const names = await runPending(url, log);
    await ensurePartitions(url, log);
    log.info('database.migrated', { migrations: names, duration_ms: Math.round(performance.now() - startedMs) });
    return names;
  } catch (error) {
    if (errorCodeOf(error) !== LOCK_NOT_AVAILABLE_SQLSTATE) throw translateError(error);
    throw new MigrationBlockedError('A lock that the migrations need was not free in time', { cause: error });
  } finally {
    await lock.end().catch(() => undefined);
  }
}

/** The migrations of this code that the database has not seen, oldest first. */
export async function pendingMigrations(sql: Sql): Promise<readonly string[]> {
  const names = MIGRATIONS.map((migration) => migration.name);
  const [table] = await sql.query<{ found: boolean }>({
    text: 'SELECT to_regclass($1) IS NOT NULL AS found',
    values: [`public.${MIGRATION_TABLE}`],
  });
  if (table?.found !== true) return names;
  const rows = await sql.query<{ name: string }>({ text: `SELECT name FROM public.${MIGRATION_TABLE}` });
  const done = new Set(rows.map((row) => row.name));
  return names.filter((name) => !done.has(name));
}

/**
 * Makes sure that this code may work on the database. A database that is further on is fine: the old release of a rolling update.
 * @throws DatabaseNotMigratedError
 */
export async function assertMigrated(sql: Sql): Promise<void> {
  const pending = await pendingMigrations(sql);
  if (pending.length > 0) throw new DatabaseNotMigratedError(`The database lacks ${pending.length} of ${MIGRATIONS.length} migrations`);
}

/** @throws DatabaseUnavailableError */
async function connectForLock(url: string): Promise<Client> {
  const client = new Client({ connectionString: url, application_name: 'belfry migrate lock', keepAlive: true });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return client;
  } catch (error) {
    throw translateError(error);
  }
}

async function runPending(url: string, log: DatabaseLog): Promise<readonly string[]> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await runOnce(url);
    } catch (error) {
      if (errorCodeOf(error) !== LOCK_NOT_AVAILABLE_SQLSTATE || attempt >= BLOCKED_ATTEMPTS_MAX) throw error;
      log.warn('database.migration.blocked', { attempt }, error);
      await sleep(BLOCKED_DELAY_MS);
    }
  }
}

/** With a DataSource of its own: TypeORM does not give back the connection of a failed run. */
async function runOnce(url: string): Promise<readonly string[]> {
  const source = new DataSource({
    type: 'postgres',
    url,
    applicationName: 'belfry migrate',
    poolSize: 1,
    schema: 'public',
    synchronize: false,
    installExtensions: false,
    logging: false,
    migrations: [...MIGRATIONS],
    migrationsTableName: MIGRATION_TABLE,
    migrationsTransactionMode: 'each',
    poolErrorHandler: () => undefined,
    extra: { lock_timeout: TABLE_LOCK_TIMEOUT_MS, keepAlive: true },
  });
  await source.initialize();
  try {
    return (await source.runMigrations()).map((migration) => migration.name);
  } finally {
    await source.destroy();
  }
}

/** No write finds its partition missing, whether or not an app that keeps them up has run yet. */
async function ensurePartitions(url: string, log: DatabaseLog): Promise<void> {
  const database = await Database.open({ url, applicationName: 'belfry migrate', poolConnectionsMax: 1, log });
  try {
    const manager = new PartitionManager(database, new SystemClock(), log);
    for (const table of PARTITIONED_TABLES) {
      const { parent, partitionsAhead } = await manager.ensureAhead(table, { waitForTurn: true });
      if (partitionsAhead < 0) throw new MigrationBlockedError(`${parent} has no partition for now: its lock was not free in time`);
    }
  } finally {
    await database.close();
  }
}
