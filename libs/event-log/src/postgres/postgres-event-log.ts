/**
 * The event log in Postgres: the embedded default, for one machine and one or several processes.
 *
 * Life cycle: open -> closed. Topics are made by `ensureTopics`; subscriptions live until they or the log are closed. The `Database`
 * belongs to the caller.
 *
 * Where the guarantees come from:
 * - gapless offsets in commit order, appends that never deadlock: `LogStore.append` (head rows locked in partition order);
 * - each record to one member of a group, fair shares, fencing: `GroupMembership` (leases and epochs);
 * - order per partition, at least once, concurrency, drain: `PartitionPump`;
 * - wake-ups that may get lost: `HeadWatcher`.
 *
 * What it lacks against Kafka: replication, more than one machine's disk, and throughput beyond some 35,000 appends per second.
 */
import { RECORD_VALUE_BYTES_MAX } from '#contracts';
import { type Database, type DatabaseLog, SILENT_LOG } from '#database';
import { ATTRIBUTE, countMetric } from '#telemetry';
import { EventLogClosedError, RecordTooLargeError } from '../event-log.errors.js';
import { type AppendRecord, EventLog, type PartitionLag, type SubscribeOptions, type Subscription, type TopicSpec } from '../event-log.js';
import { BroadcastSubscription } from './broadcast-subscription.js';
import { ROUNDS_PER_LEASE } from './group-membership.js';
import { GroupStore } from './group.store.js';
import { GroupSubscription } from './group-subscription.js';
import { HeadWatcher } from './head-watcher.js';
import { LogStore, topicNotFound } from './log.store.js';
import { sliceBySize } from './packed-values.js';
import { RoundBeat } from './round-beat.js';

/** Records and value bytes of one append statement; larger appends are cut, in order. */
const APPEND_SLICE = { countMax: 1_000, bytesMax: 8 * 1024 * 1024 } as const;
/** An append meets a growing topic at most this often. */
const APPEND_ATTEMPTS_MAX = 3;

/** How an adapter is made. */
export interface PostgresEventLogOptions {
  readonly database: Database;
  readonly log?: DatabaseLog;
  /** How long a member that says nothing keeps its partitions: bounds the wait after a `kill -9`. */
  readonly leaseMs?: number;
  /** How often heads are read when no notification comes: the least pause, and the most after a time without records. */
  readonly pollMsMin?: number;
  readonly pollMsMax?: number;
}

/** The values where `PostgresEventLogOptions` say nothing. */
export const POSTGRES_EVENT_LOG_DEFAULTS = { leaseMs: 6_000, pollMsMin: 250, pollMsMax: 5_000 } as const;

export class PostgresEventLog extends EventLog {
  readonly kind = 'postgres';
  private readonly database: Database;
  private readonly log: DatabaseLog;
  private readonly leaseMs: number;
  private readonly logStore: LogStore;
  private readonly groupStore: GroupStore;
  private readonly beat: RoundBeat;
  private readonly watcher: HeadWatcher;
  private readonly subscriptions = new Set<Subscription>();
  private closed = false;

  constructor(options: PostgresEventLogOptions) {
    super();
    const settings = { ...POSTGRES_EVENT_LOG_DEFAULTS, ...options };
    this.database = settings.database;
    this.log = settings.log ?? SILENT_LOG;
    this.leaseMs = settings.leaseMs;
    this.logStore = new LogStore(this.database);
    this.groupStore = new GroupStore(this.database);
    this.beat = new RoundBeat(settings.leaseMs / ROUNDS_PER_LEASE);
    this.watcher = new HeadWatcher(this.database, this.logStore, settings, this.log);
  }

  /** @throws TopicPartitionsError */
  async ensureTopics(topics: readonly TopicSpec[]): Promise<void> {
    this.assertOpen();
    await this.logStore.ensureTopics(topics);
  }

  /** @throws TopicNotFoundError, RecordTooLargeError, DatabaseUnavailableError */
  async append(topic: string, records: readonly AppendRecord[]): Promise<void> {
    this.assertOpen();
    const oversized = records.find((record) => record.value.length > RECORD_VALUE_BYTES_MAX);
    if (oversized !== undefined) throw tooLarge(topic, oversized.value.length);
    for (const slice of sliceBySize(records, APPEND_SLICE, (record) => record.value.length)) await this.appendSlice(topic, slice);
  }

  /** @throws TopicNotFoundError, DatabaseUnavailableError */
  async subscribe(options: SubscribeOptions): Promise<Subscription> {
    this.assertOpen();
    const topics = await Promise.all(options.topics.map((topic) => this.logStore.topic(topic)));
    const { database, logStore, groupStore, beat, watcher, log, leaseMs } = this;
    const parts = { database, logStore, groupStore, beat, watcher, log, leaseMs, topics, options };
    const subscription = options.ephemeral === true ? await BroadcastSubscription.open(parts) : await GroupSubscription.open(parts);
    this.subscriptions.add(subscription);
    if (this.closed) await subscription.close(0);
    return subscription;
  }

  /** @throws TopicNotFoundError, DatabaseUnavailableError */
  async lag(group: string, topics: readonly string[]): Promise<readonly PartitionLag[]> {
    this.assertOpen();
    return this.logStore.lag(group, topics);
  }

  async ping(): Promise<void> {
    this.assertOpen();
    await this.database.ping();
  }

  async close(drainMs: number): Promise<void> {
    this.closed = true;
    await Promise.all([...this.subscriptions].map((subscription) => subscription.close(drainMs)));
    this.subscriptions.clear();
  }

  private async appendSlice(topic: string, records: readonly AppendRecord[]): Promise<void> {
    for (let attempt = 1; attempt <= APPEND_ATTEMPTS_MAX; attempt += 1) {
      if (await this.logStore.append(await this.logStore.topic(topic), records)) {
        countMetric('recordsSent', records.length, { [ATTRIBUTE.messagingDestination]: topic });
        return;
      }
      this.logStore.forgetTopic(topic);
    }
    throw topicNotFound(topic);
  }

  private assertOpen(): void {
    if (this.closed) throw new EventLogClosedError('The event log was closed');
  }
}

function tooLarge(topic: string, bytes: number): RecordTooLargeError {
  return new RecordTooLargeError(`A record of ${topic} has ${bytes} bytes, the limit is ${RECORD_VALUE_BYTES_MAX}`);
}
