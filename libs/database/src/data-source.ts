import type { ClientConfig } from 'pg';
import { DataSource, type EntitySchema } from 'typeorm';
import type { DatabaseLog } from './database-log.js';

/** What a pool needs to know; the defaults suit an app. */
export interface DatabaseOptions {
  /** `postgres://user:password@host:port/database` */
  readonly url: string;
  /** Shown in pg_stat_activity. */
  readonly applicationName?: string;
  readonly poolConnectionsMax?: number;
  /** How long a caller waits for a connection, new or free. */
  readonly connectTimeoutMs?: number;
  readonly statementTimeoutMs?: number;
  readonly idleInTransactionTimeoutMs?: number;
  /** Entity classes of the configuration tables. */
  readonly entities?: readonly (EntitySchema | (new () => object))[];
  readonly log?: DatabaseLog;
}

/** The values where `DatabaseOptions` and the configuration say nothing. */
export const DATABASE_DEFAULTS = {
  applicationName: 'belfry',
  poolConnectionsMax: 10,
  connectTimeoutMs: 5_000,
  statementTimeoutMs: 30_000,
  idleInTransactionTimeoutMs: 30_000,
} as const;

/** A dead peer is noticed by probes, not by the kernel's default of two hours. */
const KEEP_ALIVE = { keepAlive: true, keepAliveInitialDelayMillis: 10_000 } as const;

/** The DataSource of an app: never changes the schema, never installs extensions, never logs statements. */
export function createDataSource(options: DatabaseOptions, log: DatabaseLog): DataSource {
  const settings = { ...DATABASE_DEFAULTS, ...options };
  return new DataSource({
    type: 'postgres',
    url: settings.url,
    applicationName: settings.applicationName,
    poolSize: settings.poolConnectionsMax,
    connectTimeoutMS: settings.connectTimeoutMs,
    entities: [...(options.entities ?? [])],
    synchronize: false,
    installExtensions: false,
    logging: false,
    // Idle connections that Postgres closes leave the pool; the next caller opens a new one.
    poolErrorHandler: (error: unknown) => log.warn('database.connection.lost', {}, error),
    extra: {
      ...KEEP_ALIVE,
      statement_timeout: settings.statementTimeoutMs,
      idle_in_transaction_session_timeout: settings.idleInTransactionTimeoutMs,
    },
  });
}

/** The connection that listens: one per `Database`, outside of the pool. */
export function listenConfig(options: DatabaseOptions): ClientConfig {
  const settings = { ...DATABASE_DEFAULTS, ...options };
  return {
    ...KEEP_ALIVE,
    connectionString: settings.url,
    application_name: `${settings.applicationName} listen`,
    connectionTimeoutMillis: settings.connectTimeoutMs,
  };
}
