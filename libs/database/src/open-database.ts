import { ConfigError, type ConfigOf } from '#config';
import { Database } from './database.js';
import type { DatabaseOptions } from './data-source.js';
import { SILENT_LOG } from './database-log.js';
import type { databaseConfig } from './database.config.js';
import { untilAvailable } from './until-available.js';

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
  const open = () =>
    Database.open({ ...options, url, poolConnectionsMax, connectTimeoutMs, statementTimeoutMs, idleInTransactionTimeoutMs });
  return untilAvailable(open, { waitMs: startWaitMs, log: options.log ?? SILENT_LOG });
}
