import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { newUuid } from '#contracts';
import { silentLogger } from '#telemetry';
import type { AppendRecord } from '../event-log.js';
import { EventLogUnavailableError } from '../event-log.errors.js';
import { type KafkaTestBroker, startKafkaBroker } from '../testing/kafka-broker.js';
import { KafkaEventLog } from './kafka-event-log.js';

const provided = inject('kafka');
/** A broker that was there before is not ours to kill. */
const canKill = 'version' in provided && provided.version !== 'KAFKA_BROKERS';

const WAIT = { timeout: 60_000, interval: 50 };
const KEYS = 5;

describe.skipIf(!canKill)('KafkaEventLog while its only broker is lost', { timeout: 150_000 }, () => {
  let broker: KafkaTestBroker;
  let log: KafkaEventLog;
  const topic = `loss.record.appended.${newUuid().slice(-12)}`;

  beforeAll(async () => {
    broker = await startKafkaBroker();
    log = new KafkaEventLog({ brokers: broker.brokers, clientId: 'loss', ssl: false, compression: 'none', log: silentLogger() });
    await log.ensureTopics([{ topic, partitions: 2, retentionHours: 1 }]);
  }, 60_000);
  afterAll(async () => {
    await log.close(1_000);
    await broker.close();
  }, 60_000);

  it('loses no acknowledged record, keeps the order of each key, and goes on by itself', async () => {
    const seen: string[] = [];
    const subscription = await log.subscribe({
      group: 'loss.reader',
      topics: [topic],
      from: 'earliest',
      concurrency: 2,
      batchRecordsMax: 100,
      handler: async (batch) => {
        seen.push(...batch.records.map((record) => record.value.toString()));
      },
    });
    await subscription.ready();

    let next = 0;
    const done = new AbortController();
    const append = async (): Promise<void> => {
      const records = Array.from({ length: 50 }, (): AppendRecord => {
        const number = next;
        next += 1;
        return { key: `key-${number % KEYS}`, value: Buffer.from(String(number)) };
      });
      for (;;) {
        try {
          return await log.append(topic, records);
        } catch (error) {
          if (!(error instanceof EventLogUnavailableError)) throw error;
        }
      }
    };
    const appending = (async () => {
      while (!done.signal.aborted) await append();
    })();

    await vi.waitFor(() => expect(seen.length).toBeGreaterThan(1_000), WAIT);
    await broker.kill();
    await vi.waitFor(() => expect(subscription.status).toBe('failed'), WAIT);
    await expect(log.ping()).rejects.toThrow(EventLogUnavailableError);
    await broker.restart();
    await vi.waitFor(() => expect(subscription.status).toBe('running'), WAIT);
    await vi.waitFor(() => expect(log.ping()).resolves.toBeUndefined(), WAIT);
    const before = next;
    await vi.waitFor(() => expect(next).toBeGreaterThan(before + 1_000), WAIT);
    done.abort();
    await appending;

    await vi.waitFor(() => expect(new Set(seen).size).toBe(next), WAIT);
    for (let key = 0; key < KEYS; key += 1) {
      const first = [...new Set(seen.map(Number).filter((number) => number % KEYS === key))];
      expect(first).toEqual([...first].sort((a, b) => a - b));
    }
  });
});
