import { CompressionTypes, type Kafka } from 'kafkajs';
import { type AppendRecord, EventLog, type PartitionLag, type SubscribeOptions, type Subscription, type TopicSpec } from '../event-log.js';
import { EventLogClosedError, EventLogUnavailableError } from '../event-log.errors.js';
import { AdminClient } from './admin-client.js';
import { createKafka, type KafkaEventLogOptions } from './kafka-options.js';
import { KafkaSubscription } from './kafka-subscription.js';
import { assertTopicsExist, ensureKafkaTopics, kafkaLag } from './kafka-topics.js';
import { connectProducer, SendQueue } from './send-queue.js';

/** Members send heartbeats independently of their handlers, so only a blocked event loop or a dead process is silent for so long. */
const SESSION_MS_MAX = 10_000;

/** Health asks often and wants a quick answer; kafkajs alone would try for 13 s. */
const PING_MS_MAX = 3_000;

/**
 * The event log on Apache Kafka (3.9 and 4.x), by kafkajs: for production and several machines. One producer, one admin connection and
 * one consumer per subscription, all connected at first use.
 *
 * @see docs/decisions for why kafkajs, and why no Kafka transactions: correctness rests on Postgres
 */
export class KafkaEventLog extends EventLog {
  readonly kind = 'kafka';
  private readonly kafka: Kafka;
  private readonly admin: AdminClient;
  private readonly sends: SendQueue;
  private readonly subscriptions = new Set<KafkaSubscription>();
  private readonly knownTopics = new Set<string>();
  private closing: Promise<void> | undefined;

  constructor(private readonly options: KafkaEventLogOptions) {
    super();
    this.kafka = createKafka(options);
    this.admin = new AdminClient(this.kafka);
    this.sends = new SendQueue(
      () => connectProducer(this.kafka),
      options.compression === 'gzip' ? CompressionTypes.GZIP : CompressionTypes.None,
    );
  }

  async ensureTopics(topics: readonly TopicSpec[]): Promise<void> {
    const hasGrown = await ensureKafkaTopics(this.admin, topics);
    for (const { topic } of topics) this.knownTopics.add(topic);
    if (hasGrown) await this.sends.refresh();
  }

  async append(topic: string, records: readonly AppendRecord[]): Promise<void> {
    this.assertOpen();
    if (!this.knownTopics.has(topic)) {
      await assertTopicsExist(this.admin, [topic]);
      this.knownTopics.add(topic);
    }
    await this.sends.append(topic, records);
  }

  async subscribe(options: SubscribeOptions): Promise<Subscription> {
    this.assertOpen();
    const subscription: KafkaSubscription = new KafkaSubscription({
      kafka: this.kafka,
      admin: this.admin,
      subscription: options,
      sessionTimeoutMs: this.options.sessionTimeoutMs ?? SESSION_MS_MAX,
      log: this.options.log,
      onClosed: () => this.subscriptions.delete(subscription),
    });
    this.subscriptions.add(subscription);
    return subscription;
  }

  async lag(group: string, topics: readonly string[]): Promise<readonly PartitionLag[]> {
    return kafkaLag(this.admin, group, topics);
  }

  async ping(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new EventLogUnavailableError(`Kafka did not answer within ${PING_MS_MAX} ms.`)), PING_MS_MAX);
    });
    await Promise.race([this.admin.use((admin) => admin.describeCluster()), deadline]).finally(() => clearTimeout(timer));
  }

  close(drainMs: number): Promise<void> {
    this.closing ??= this.closeNow(drainMs);
    return this.closing;
  }

  private async closeNow(drainMs: number): Promise<void> {
    await Promise.all([...this.subscriptions].map((subscription) => subscription.close(drainMs)));
    await Promise.all([this.sends.close(), this.admin.close()]);
  }

  private assertOpen(): void {
    if (this.closing !== undefined) throw new EventLogClosedError('The event log was closed.');
  }
}
