import type { Admin } from 'kafkajs';
import type { PartitionLag, TopicSpec } from '../event-log.js';
import { TopicNotFoundError, TopicPartitionsError } from '../event-log.errors.js';
import type { AdminClient } from './admin-client.js';
import { translateKafkaFailure } from './kafka-failures.js';

/** How long to look and create again: another process may create or grow the same topics, and metadata follows late. */
const ENSURE_MS_MAX = 15_000;
const ENSURE_ROUND_MS = 200;
const MS_PER_HOUR = 3_600_000;
/** Long enough for a controller that is just being elected. */
const CREATE_MS_MAX = 15_000;

/** What has to be done so that topics are as their contracts want them. */
interface Differences {
  readonly missing: readonly TopicSpec[];
  readonly tooSmall: readonly TopicSpec[];
}

/**
 * Creates missing topics and adds missing partitions, until Kafka's metadata shows them all. Safe to run in several processes at once.
 *
 * @returns whether partitions were added to an existing topic
 * @throws TopicPartitionsError (`topic_partitions_excessive`)
 */
export async function ensureKafkaTopics(client: AdminClient, specs: readonly TopicSpec[]): Promise<boolean> {
  const deadlineMs = performance.now() + ENSURE_MS_MAX;
  let hasGrown = false;
  for (;;) {
    let failure: unknown;
    try {
      const { missing, tooSmall } = await client.use((admin) => compare(admin, specs));
      if (missing.length === 0 && tooSmall.length === 0) return hasGrown;
      hasGrown ||= tooSmall.length > 0;
      await client.use((admin) => create(admin, missing, tooSmall));
    } catch (error) {
      if (error instanceof TopicPartitionsError) throw error;
      failure = error;
    }
    if (performance.now() > deadlineMs) {
      throw translateKafkaFailure(failure ?? new Error('The topics were created, but the metadata does not show them.'));
    }
    await new Promise((resolve) => setTimeout(resolve, ENSURE_ROUND_MS));
  }
}

/** How far a group is behind on every partition of the topics. */
export async function kafkaLag(client: AdminClient, group: string, topics: readonly string[]): Promise<PartitionLag[]> {
  await assertTopicsExist(client, topics);
  return client.use(async (admin) => {
    const committed = await admin.fetchOffsets({ groupId: group, topics: [...topics] });
    const lags = topics.map(async (topic) => {
      const ofGroup = committed.find((entry) => entry.topic === topic)?.partitions ?? [];
      const offsets = await admin.fetchTopicOffsets(topic);
      return offsets.map(({ partition, high, low }) => {
        const position = BigInt(ofGroup.find((entry) => entry.partition === partition)?.offset ?? -1);
        const start = position < BigInt(low) ? BigInt(low) : position;
        return { topic, partition, records: BigInt(high) - start };
      });
    });
    return (await Promise.all(lags)).flat().sort((a, b) => a.topic.localeCompare(b.topic) || a.partition - b.partition);
  });
}

/** @throws TopicNotFoundError (`topic_not_found`); without this kafkajs looks for the topic again and again for 13 s */
export async function assertTopicsExist(client: AdminClient, topics: readonly string[]): Promise<void> {
  const existing = new Set(await client.use((admin) => admin.listTopics()));
  const missing = topics.filter((topic) => !existing.has(topic));
  if (missing.length > 0) throw new TopicNotFoundError(`Kafka has no topic "${missing.join('", "')}".`);
}

async function compare(admin: Admin, specs: readonly TopicSpec[]): Promise<Differences> {
  const existing = new Set(await admin.listTopics());
  const present = specs.filter((spec) => existing.has(spec.topic));
  const missing = specs.filter((spec) => !existing.has(spec.topic));
  if (present.length === 0) return { missing, tooSmall: [] };
  const { topics } = await admin.fetchTopicMetadata({ topics: present.map((spec) => spec.topic) });
  const partitionsOf = new Map(topics.map(({ name, partitions }) => [name, partitions.length]));
  const tooLarge = present.filter((spec) => (partitionsOf.get(spec.topic) ?? 0) > spec.partitions);
  if (tooLarge.length > 0) {
    const found = tooLarge.map((spec) => `"${spec.topic}" has ${partitionsOf.get(spec.topic)} instead of ${spec.partitions}`);
    throw new TopicPartitionsError(`More partitions than the contract says: ${found.join(', ')}.`);
  }
  return { missing, tooSmall: present.filter((spec) => (partitionsOf.get(spec.topic) ?? 0) < spec.partitions) };
}

async function create(admin: Admin, missing: readonly TopicSpec[], tooSmall: readonly TopicSpec[]): Promise<void> {
  if (missing.length > 0) {
    const topics = missing.map(({ topic, partitions, retentionHours }) => ({
      topic,
      numPartitions: partitions,
      configEntries: [{ name: 'retention.ms', value: String(retentionHours * MS_PER_HOUR) }],
    }));
    await admin.createTopics({ topics, waitForLeaders: true, timeout: CREATE_MS_MAX });
  }
  if (tooSmall.length > 0) {
    await admin.createPartitions({
      topicPartitions: tooSmall.map(({ topic, partitions }) => ({ topic, count: partitions })),
      timeout: CREATE_MS_MAX,
    });
  }
}
