import { randomBytes } from 'node:crypto';
import { Client, escapeIdentifier } from 'pg';
import { inject } from 'vitest';
import { Database } from '#database';

/** What the global setup hands to the test files. */
export interface SharedPostgres {
  /** A database of the server where others may be created. */
  readonly adminUrl: string;
  /** A migrated database that nobody may connect to. */
  readonly templateName: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    belfryPostgres: SharedPostgres;
  }
}

/** A migrated database of one test file alone. */
export interface TestDatabase {
  readonly database: Database;
  readonly url: string;
  /** Closes the pool and drops the database, whoever is still connected. */
  close(): Promise<void>;
}

export interface TestDatabaseOptions {
  /** False: an empty database, for tests of the migrations themselves. */
  readonly migrated?: boolean;
  readonly poolConnectionsMax?: number;
}

/**
 * Creates a database as a copy of the migrated template on the run's shared server (about 50 ms). Call it in `beforeAll` and close it in
 * `afterAll`. The server runs without fsync: a test that kills Postgres takes `createTestCluster()`.
 */
export async function createTestDatabase(options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const { adminUrl, templateName } = inject('belfryPostgres');
  const name = `belfry_test_${randomBytes(6).toString('hex')}`;
  const template = options.migrated === false ? 'template0' : templateName;
  await runOn(adminUrl, `CREATE DATABASE ${escapeIdentifier(name)} TEMPLATE ${escapeIdentifier(template)}`);
  const url = withDatabase(adminUrl, name);
  const database = await Database.open({ url, applicationName: 'belfry test', poolConnectionsMax: options.poolConnectionsMax ?? 10 });
  return {
    database,
    url,
    close: async () => {
      await database.close();
      await runOn(adminUrl, `DROP DATABASE ${escapeIdentifier(name)} WITH (FORCE)`);
    },
  };
}

/** The same server, another database. */
export function withDatabase(url: string, name: string): string {
  const changed = new URL(url);
  changed.pathname = `/${name}`;
  return changed.href;
}

/** Runs one statement on a connection of its own, outside of any transaction. */
export async function runOn(url: string, text: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}
