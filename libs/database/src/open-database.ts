import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigError, type ConfigOf } from '#config';
import { Database } from './database.js';
import type { DatabaseOptions } from './data-source.js';
import { SILENT_LOG } from './database-log.js';
import type { databaseConfig } from './database.config.js';
import { DatabaseUnavailableError } from './database.errors.js';

const OPEN_RETRY_DELAY_MS = 500;

/** What a process adds to the configuration. */
export interface OpenDatabaseOptions extends Pick<DatabaseOptions, 'applicationName' | 'entities' | 'log'> {
  /** Used instead of DATABASE_URL: the embedded Postgres of this process. */
  readonly url?: string;
}

/**
 * Opens the database by the configuration, waiting up to DATABASE_START_WAIT_MS for a server that is still starting.
 * @throws ConfigError when there is no URL; DatabaseUnavailableError when the server did not answer in time.
 */
export async function openDatabase(
  config: Readonly<ConfigOf<typeof databaseConfig>>,
  options: OpenDatabaseOptions = {},
): Promise<Database> {
  const url = options.url ?? config.databaseUrl;
  if (url === undefined) {
    const remedy = 'Set it to your Postgres, or run `npm start`, which brings an embedded one.';
    throw new ConfigError([{ key: 'DATABASE_URL', problem: 'is missing', remedy }]);
  }
  const { poolConnectionsMax, connectTimeoutMs, statementTimeoutMs, idleInTransactionTimeoutMs, startWaitMs } = config;
  const deadlineMs = performance.now() + startWaitMs;
  for (;;) {
    try {
      return await Database.open({
        ...options,
        url,
        poolConnectionsMax,
        connectTimeoutMs,
        statementTimeoutMs,
        idleInTransactionTimeoutMs,
      });
    } catch (error) {
      if (!(error instanceof DatabaseUnavailableError) || performance.now() + OPEN_RETRY_DELAY_MS > deadlineMs) throw error;
      (options.log ?? SILENT_LOG).warn('database.start.waited', { remaining_ms: Math.round(deadlineMs - performance.now()) }, error);
      await sleep(OPEN_RETRY_DELAY_MS);
    }
  }
}
