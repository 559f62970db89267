import { z } from 'zod';
import { defineConfig, integerText, setting } from '#config';
import { DATABASE_DEFAULTS } from './data-source.js';

/** Settings of Postgres, one's own or the embedded one. */
export const databaseConfig = defineConfig('database', {
  databaseUrl: setting('DATABASE_URL', z.url({ protocol: /^postgres(ql)?$/ }).optional(), {
    describe:
      'Postgres 15 or newer. Unset: `npm run demo` and `npm start` run an embedded Postgres of their own; the separate apps need it.',
    remedy:
      'Write the URL of a database that exists and whose user may create schemas, or run `npm start`, which brings a Postgres of its own.',
    example: 'postgres://belfry:secret@db.internal:5432/belfry',
    secret: true,
  }),
  embeddedDirectory: setting('BELFRY_POSTGRES_DIR', z.string().default('.belfry/postgres'), {
    describe: 'Where the embedded Postgres keeps its data, relative to the working directory. Not used with DATABASE_URL.',
    example: '/var/lib/belfry/postgres',
  }),
  poolConnectionsMax: setting(
    'DATABASE_POOL_CONNECTIONS_MAX',
    integerText({ min: 6, max: 500 }).default(DATABASE_DEFAULTS.poolConnectionsMax),
    {
      describe: 'Most connections of one process to Postgres, besides one that listens.',
      remedy:
        'At least 6: the relay of the outbox alone holds up to four. The sum over all processes must stay below max_connections of the server.',
    },
  ),
  connectTimeoutMs: setting(
    'DATABASE_CONNECT_TIMEOUT_MS',
    integerText({ min: 100, max: 60_000 }).default(DATABASE_DEFAULTS.connectTimeoutMs),
    {
      describe: 'How long work waits for a connection before it counts Postgres as unavailable.',
    },
  ),
  statementTimeoutMs: setting(
    'DATABASE_STATEMENT_TIMEOUT_MS',
    integerText({ min: 1_000, max: 3_600_000 }).default(DATABASE_DEFAULTS.statementTimeoutMs),
    {
      describe: 'Postgres ends a statement that runs longer.',
    },
  ),
  idleInTransactionTimeoutMs: setting(
    'DATABASE_IDLE_IN_TRANSACTION_TIMEOUT_MS',
    integerText({ min: 1_000, max: 3_600_000 }).default(DATABASE_DEFAULTS.idleInTransactionTimeoutMs),
    {
      describe: 'Postgres ends a session whose transaction waits for its client longer, so that a hanging process holds no locks.',
    },
  ),
  startWaitMs: setting('DATABASE_START_WAIT_MS', integerText({ min: 0, max: 600_000 }).default(30_000), {
    describe: 'How long a starting process waits for Postgres to answer before it gives up.',
  }),
});
