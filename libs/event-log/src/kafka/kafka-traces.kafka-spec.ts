import { type Admin, ConfigResourceTypes, Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { newUuid } from '#contracts';
import { silentLogger } from '#telemetry';
import { KafkaEventLog } from './kafka-event-log.js';

const provided = inject('kafka');

/** What the adapter leaves at the brokers, seen by another client. */
describe.skipIf('skipReason' in provided)('KafkaEventLog at its brokers', { timeout: 60_000 }, () => {
  const brokers = 'brokers' in provided ? [...provided.brokers] : [];
  const topic = `traces.record.appended.${newUuid().slice(-12)}`;
  let log: KafkaEventLog;
  let admin: Admin;

  beforeAll(async () => {
    log = new KafkaEventLog({ brokers, clientId: 'traces', ssl: false, compression: 'none', log: silentLogger() });
    admin = new Kafka({ brokers, logLevel: logLevel.NOTHING }).admin();
    await admin.connect();
    await log.ensureTopics([{ topic, partitions: 2, retentionHours: 3 }]);
  });
  afterAll(async () => {
    await log.close(0);
    await admin.disconnect();
  });

  it('keeps the records of a topic for the hours of its contract', async () => {
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configNames: ['retention.ms'] }],
    });
    expect(resources[0]?.configEntries[0]?.configValue).toBe(String(3 * 3_600_000));
  });

  it('removes the group of a broadcast subscription when it is closed, and keeps that of a durable one', async () => {
    const name = `traces.${newUuid().slice(-12)}`;
    const options = { topics: [topic], concurrency: 1, batchRecordsMax: 10, handler: async () => undefined };
    const durable = await log.subscribe({ ...options, group: `${name}.durable`, from: 'latest' });
    const broadcast = await log.subscribe({ ...options, group: `${name}.broadcast`, from: 'latest', ephemeral: true });
    await Promise.all([durable.ready(), broadcast.ready()]);
    const groups = async (): Promise<string[]> => (await admin.listGroups()).groups.map((group) => group.groupId);
    expect((await groups()).filter((group) => group.startsWith(name))).toHaveLength(2);
    await Promise.all([durable.close(0), broadcast.close(0)]);
    await vi.waitFor(async () => expect((await groups()).filter((group) => group.startsWith(name))).toEqual([`${name}.durable`]));
  });
});
