import { describe, inject, it } from 'vitest';
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

if ('skipReason' in kafka) {
  describe('Kafka as event log', () => {
    it.skip(`is skipped: ${kafka.skipReason}`, () => undefined);
  });
} else {
  describeEventLog(`Kafka ${kafka.version}`, () => makeHarness(kafka.brokers, 'none'));
  describeEventLog(`Kafka ${kafka.version} with gzip`, () => makeHarness(kafka.brokers, 'gzip'), ['records']);
}

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
    close: async () => {
      await Promise.all(killed.map((log) => log.close(0)));
    },
  };
}
