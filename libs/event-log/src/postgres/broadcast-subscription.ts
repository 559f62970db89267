import type { SubscribeOptions, Subscription } from '../event-log.js';
import type { SubscriptionParts } from './group-subscription.js';
import { PartitionCursor } from './partition-cursor.js';
import { PartitionPump } from './partition-pump.js';

/**
 * A subscription that gets every record of its topics, alone. Its positions live in memory only: nothing is written, so nothing is
 * left behind, and a process that dies leaves no trace.
 */
export class BroadcastSubscription implements Subscription {
  private readonly pump: PartitionPump;
  private unwatch: (() => Promise<void>) | undefined;
  private closing: Promise<void> | undefined;
  private state: 'starting' | 'running' | 'stopped' = 'starting';

  private constructor(private readonly parts: Pick<SubscriptionParts, 'logStore' | 'watcher' | 'log' | 'topics' | 'options'>) {
    const { options, logStore: store, watcher, log } = parts;
    const owner = { commit: () => Promise.resolve(true), isSure: () => true, onRefused: () => undefined };
    this.pump = new PartitionPump({ options, store, watcher, log, owner });
  }

  /** Takes all partitions, from `options.from` on. @throws DatabaseUnavailableError */
  static async open(parts: SubscriptionParts): Promise<BroadcastSubscription> {
    const subscription = new BroadcastSubscription(parts);
    const topicIds = parts.topics.map((topic) => topic.topicId);
    subscription.unwatch = await parts.watcher.watch(topicIds, () => subscription.onAdvance());
    subscription.takePartitions(parts.options.from);
    subscription.state = 'running';
    return subscription;
  }

  get group(): string {
    return this.parts.options.group;
  }

  get status(): Subscription['status'] {
    return this.state;
  }

  ready(): Promise<void> {
    return Promise.resolve();
  }

  close(drainMs: number): Promise<void> {
    this.closing ??= this.closeOnce(drainMs);
    return this.closing;
  }

  private async closeOnce(drainMs: number): Promise<void> {
    await this.pump.close(drainMs);
    this.state = 'stopped';
    this.pump.lose(this.pump.cursors);
    await this.unwatch?.();
  }

  private onAdvance(): void {
    if (this.state !== 'running') return;
    // Partitions that appear later are new: nothing in them was there before us.
    this.takePartitions('earliest');
    this.pump.wake();
  }

  private takePartitions(from: SubscribeOptions['from']): void {
    const { watcher, topics } = this.parts;
    for (const { topicId, topic } of topics) {
      const taken = new Set(this.pump.cursors.filter((cursor) => cursor.topicId === topicId).map((cursor) => cursor.partition));
      const fresh = watcher.partitionsOf(topicId).filter((partition) => !taken.has(partition));
      const start = (partition: number): bigint => (from === 'latest' ? watcher.headOf(topicId, partition) : 0n);
      this.pump.add(fresh.map((partition) => new PartitionCursor({ topic, topicId, partition, epoch: 0n, position: start(partition) })));
    }
  }
}
