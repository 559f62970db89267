import type { Database, DatabaseLog } from '#database';
import { EventLogClosedError } from '../event-log.errors.js';
import type { SubscribeOptions, Subscription } from '../event-log.js';
import { GroupMembership, type MembershipState } from './group-membership.js';
import type { ClaimedPartition, GroupStore } from './group.store.js';
import type { HeadWatcher } from './head-watcher.js';
import type { LogStore, TopicRow } from './log.store.js';
import { PartitionCursor } from './partition-cursor.js';
import { PartitionPump } from './partition-pump.js';
import type { RoundBeat } from './round-beat.js';

/** What a subscription is made of. */
export interface SubscriptionParts {
  readonly database: Database;
  readonly logStore: LogStore;
  readonly groupStore: GroupStore;
  readonly beat: RoundBeat;
  readonly watcher: HeadWatcher;
  readonly log: DatabaseLog;
  readonly leaseMs: number;
  readonly topics: readonly TopicRow[];
  readonly options: SubscribeOptions;
}

/** How a membership that never had its share yet looks from outside. */
const STATUS_OF_STATE: Record<MembershipState, Subscription['status']> = {
  joining: 'starting',
  sharing: 'starting',
  settled: 'running',
  failed: 'failed',
  left: 'stopped',
};

/** A subscription that shares the partitions with the other members of its group. */
export class GroupSubscription implements Subscription {
  private readonly pump: PartitionPump;
  private readonly membership: GroupMembership;
  private readonly firstShare: Promise<void>;
  private resolveFirstShare: () => void = () => undefined;
  private rejectFirstShare: (reason: Error) => void = () => undefined;
  private everSettled = false;
  private unwatch: (() => Promise<void>) | undefined;
  private closing: Promise<void> | undefined;

  private constructor(private readonly parts: SubscriptionParts) {
    const { options, logStore: store, watcher, log } = parts;
    this.pump = new PartitionPump({
      options,
      store,
      watcher,
      log,
      owner: {
        commit: (cursor, offset) => this.membership.commit(cursor, offset),
        isSure: () => this.membership.isSure(),
        onRefused: () => this.membership.runRound(),
      },
    });
    this.membership = new GroupMembership({
      database: parts.database,
      store: parts.groupStore,
      log,
      group: options.group,
      topicIds: parts.topics.map((topic) => topic.topicId),
      from: options.from,
      leaseMs: parts.leaseMs,
      beat: parts.beat,
      holder: this.holder(),
      onState: () => this.onState(),
    });
    this.firstShare = new Promise((resolve, reject) => {
      this.resolveFirstShare = resolve;
      this.rejectFirstShare = reject;
    });
    // Closing before the first share rejects it; without a waiter that is nobody's fault.
    this.firstShare.catch(() => undefined);
  }

  /** Joins the group. @throws DatabaseUnavailableError */
  static async open(parts: SubscriptionParts): Promise<GroupSubscription> {
    const subscription = new GroupSubscription(parts);
    subscription.unwatch = await parts.watcher.watch(
      parts.topics.map((topic) => topic.topicId),
      () => subscription.pump.wake(),
    );
    try {
      await subscription.membership.join();
    } catch (error) {
      // A notification may have begun rounds meanwhile, and a join whose answer was lost may have been committed.
      await subscription.close(0);
      throw error;
    }
    return subscription;
  }

  get group(): string {
    return this.parts.options.group;
  }

  get status(): Subscription['status'] {
    const { state } = this.membership;
    return this.everSettled && (state === 'joining' || state === 'sharing') ? 'rebalancing' : STATUS_OF_STATE[state];
  }

  ready(): Promise<void> {
    return this.firstShare;
  }

  close(drainMs: number): Promise<void> {
    this.closing ??= this.closeOnce(drainMs);
    return this.closing;
  }

  private async closeOnce(drainMs: number): Promise<void> {
    await this.pump.close(drainMs);
    await this.membership.leave();
    this.pump.lose(this.pump.cursors);
    await this.unwatch?.();
    this.rejectFirstShare(new EventLogClosedError('The subscription was closed before its first share'));
  }

  private holder(): ConstructorParameters<typeof GroupMembership>[0]['holder'] {
    const cursorsOf = (owned: readonly object[]) => this.pump.cursors.filter((cursor) => owned.includes(cursor));
    const { pump } = this;
    return {
      get owned() {
        return pump.cursors;
      },
      take: (claimed) => pump.add(claimed.map((each) => this.cursorOf(each))),
      lose: (owned) => pump.lose(cursorsOf(owned)),
      leave: async (owned) => {
        const [cursor] = cursorsOf([owned]);
        return cursor !== undefined && (await pump.leave(cursor));
      },
    };
  }

  private cursorOf(claimed: ClaimedPartition): PartitionCursor {
    const topic = this.parts.topics.find((each) => each.topicId === claimed.topicId)?.topic ?? '';
    return new PartitionCursor({ ...claimed, topic, position: claimed.committedOffset });
  }

  private onState(): void {
    if (this.membership.state !== 'settled') return;
    this.everSettled = true;
    this.resolveFirstShare();
  }
}
