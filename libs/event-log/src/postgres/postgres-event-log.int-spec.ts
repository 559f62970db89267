import { Database } from '#database';
import { createTestDatabase } from '#testing';
import { describeEventLog } from '../conformance/describe-event-log.js';
import type { EventLog } from '../event-log.js';
import { PostgresEventLog } from './postgres-event-log.js';

const LEASE_MS = 1_500;

describeEventLog('Postgres', async () => {
  const test = await createTestDatabase();
  /** Each client has connections of its own, as each process has. */
  const databases = new Map<EventLog, Database>();
  return {
    open: async () => {
      const database = await Database.open({ url: test.url, applicationName: 'belfry conformance', poolConnectionsMax: 6 });
      const log = new PostgresEventLog({ database, leaseMs: LEASE_MS });
      databases.set(log, database);
      return log;
    },
    // Without connections nothing is committed, renewed or released any more, as after a kill; closing then only stops the timers.
    kill: async (log) => {
      await databases.get(log)?.close();
      await log.close(0);
    },
    end: async (log) => {
      await log.close(0);
      await databases.get(log)?.close();
    },
    close: () => test.close(),
  };
});
