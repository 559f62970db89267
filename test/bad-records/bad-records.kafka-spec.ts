import { describe, inject } from 'vitest';
import { migrate } from '#database';
import { createTestCluster } from '#testing';
import { describeBadRecords } from './describe-bad-records.js';

const kafka = inject('kafka');

/** The global setup says why when this is skipped. */
describe.skipIf('skipReason' in kafka)('with a broker', () => {
  describeBadRecords('Kafka', async () => {
    const cluster = await createTestCluster();
    await migrate(cluster.url);
    const brokers = 'brokers' in kafka ? kafka.brokers.join(',') : '';
    return { url: cluster.url, env: { KAFKA_BROKERS: brokers }, close: () => cluster.close() };
  });
});
