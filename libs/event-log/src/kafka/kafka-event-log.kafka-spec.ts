import { describe, inject } from 'vitest';
import { newUuid } from '#contracts';
import { silentLogger } from '#telemetry';
import { describeEventLog } from '../conformance/describe-event-log.js';
import type { EventLogHarness } from '../conformance/harness.js';
import type { EventLog } from '../event-log.js';
import { CuttableSockets } from '../testing/cuttable-sockets.js';
import { KafkaEventLog } from './kafka-event-log.js';

const kafka = inject('kafka');

/** Short, so that the partitions of a killed member are free again while a test waits. */
const SESSION_MS = 4_000;

/** The global setup says why when this is skipped. */
describe.skipIf('skipReason' in kafka)('KafkaEventLog', () => {
  const { brokers, version } = 'brokers' in kafka ? kafka : { brokers: [], version: 'without a broker' };
  describeEventLog(`Kafka ${version}`, () => makeHarness(brokers, 'none'));
  describeEventLog(`Kafka ${version} with gzip`, () => makeHarness(brokers, 'gzip'), ['records']);
});

async function makeHarness(brokers: readonly string[], compression: 'none' | 'gzip'): Promise<EventLogHarness> {
  const socketsOf = new Map<EventLog, CuttableSockets>();
  const killed: EventLog[] = [];
  return {
    open: async () => {
      const sockets = new CuttableSockets();
      const log = new KafkaEventLog({
        brokers,
        clientId: `conformance-${newUuid().slice(-12)}`,
        ssl: false,
        compression,
        log: silentLogger(),
        sessionTimeoutMs: SESSION_MS,
        socketFactory: sockets.factory,
      });
      socketsOf.set(log, sockets);
      return log;
    },
    kill: async (log) => {
      socketsOf.get(log)?.cut();
      killed.push(log);
    },
    end: (log) => log.close(0),
    close: async () => {
      await Promise.all(killed.map((log) => log.close(0)));
    },
  };
}
