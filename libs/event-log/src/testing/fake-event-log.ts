import {
  type AppendRecord,
  EventLog,
  type PartitionLag,
  type RecordBatch,
  type SubscribeOptions,
  type Subscription,
  type TopicSpec,
} from '../event-log.js';

/** A log that keeps nothing: it remembers what was asked of it, and lets a test deliver batches itself. For unit tests only. */
export class FakeEventLog extends EventLog {
  readonly kind = 'postgres';
  readonly ensured: TopicSpec[] = [];
  readonly appended: { readonly topic: string; readonly records: readonly AppendRecord[] }[] = [];
  readonly subscriptions: FakeSubscription[] = [];
  /** Thrown by the next calls of `ensureTopics`, one each. */
  readonly ensureErrors: Error[] = [];
  /** Thrown by the next calls of `subscribe`, one each. */
  readonly subscribeErrors: Error[] = [];

  async ensureTopics(topics: readonly TopicSpec[]): Promise<void> {
    const error = this.ensureErrors.shift();
    if (error !== undefined) throw error;
    this.ensured.push(...topics);
  }

  async append(topic: string, records: readonly AppendRecord[]): Promise<void> {
    this.appended.push({ topic, records });
  }

  async subscribe(options: SubscribeOptions): Promise<Subscription> {
    const error = this.subscribeErrors.shift();
    if (error !== undefined) throw error;
    const subscription = new FakeSubscription(options);
    this.subscriptions.push(subscription);
    return subscription;
  }

  async lag(_group: string, topics: readonly string[]): Promise<readonly PartitionLag[]> {
    return topics.map((topic) => ({ topic, partition: 0, records: 0n }));
  }

  async ping(): Promise<void> {}

  async close(drainMs: number): Promise<void> {
    await Promise.all(this.subscriptions.map((subscription) => subscription.close(drainMs)));
  }
}

/** One subscription of the fake log. */
export class FakeSubscription implements Subscription {
  readonly group: string;
  status: Subscription['status'] = 'running';
  closedWithDrainMs: number | undefined;

  constructor(readonly options: SubscribeOptions) {
    this.group = options.group;
  }

  async ready(): Promise<void> {}

  async close(drainMs: number): Promise<void> {
    this.closedWithDrainMs = drainMs;
    this.status = 'stopped';
  }

  /** Hands a batch to the handler as the log would; gives the offsets that it marked as finished. */
  async deliver(batch: RecordBatch): Promise<bigint[]> {
    const finished: bigint[] = [];
    await this.options.handler(batch, {
      heartbeat: async () => undefined,
      signal: new AbortController().signal,
      finished: (offset) => finished.push(offset),
    });
    return finished;
  }
}
