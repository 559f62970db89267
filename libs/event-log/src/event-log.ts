/** One record to append. */
export interface AppendRecord {
  /** Records of one key keep their order. */
  readonly key: string;
  readonly value: Buffer;
  readonly headers?: Readonly<Record<string, string>>;
}

/** One record as read back. */
export interface LogRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly key: string;
  readonly value: Buffer;
  readonly headers: Readonly<Record<string, string>>;
  readonly appendedAt: Date;
}

/** Records of one partition in ascending offset order; never empty. */
export interface RecordBatch {
  readonly topic: string;
  readonly partition: number;
  readonly records: readonly LogRecord[];
}

/** What a handler may use while it works on a batch. */
export interface BatchContext {
  /** Tells the log that the handler is alive; call it between steps of long work. Rejects when the partition was lost: stop then. */
  heartbeat(): Promise<void>;
  /** Aborted when the partition was lost or the shutdown deadline passed. */
  readonly signal: AbortSignal;
  /**
   * Marks one record of the batch as finished while the rest is still at work, in any order. The log commits the highest contiguous
   * finished offset, so finished records at the front of a rejected batch are not delivered again. Resolving finishes them all.
   */
  finished(offset: bigint): void;
}

/** What must exist before records flow. */
export interface TopicSpec {
  readonly topic: string;
  readonly partitions: number;
  readonly retentionHours: number;
}

/** How long a partition rests after its handler rejected a batch. */
export const REDELIVERY_PAUSE_MS = 500;

export interface SubscribeOptions {
  /** Consumer group: `<app>.<slice>`. Each record goes to one member of each group. */
  readonly group: string;
  readonly topics: readonly string[];
  /** Where a group without a committed offset starts. */
  readonly from: 'earliest' | 'latest';
  /**
   * A broadcast subscription is a group of its own, whatever others carry the same name: it gets each record, starts at `from` each
   * time and leaves nothing behind when it is closed.
   */
  readonly ephemeral?: boolean;
  /** Partitions handled at the same time in this process. */
  readonly concurrency: number;
  /** Records handed to the handler at once. */
  readonly batchRecordsMax: number;
  /**
   * Resolving means that each record of the batch is finished and its offset may be committed. Rejecting redelivers the batch from its
   * first unfinished record after `REDELIVERY_PAUSE_MS`; other partitions go on meanwhile.
   */
  readonly handler: (batch: RecordBatch, context: BatchContext) => Promise<void>;
}

/** A running membership in a group. */
export interface Subscription {
  readonly group: string;
  /** `starting` until the first assignment, `stopped` after close. */
  readonly status: 'starting' | 'running' | 'rebalancing' | 'failed' | 'stopped';
  /** Resolves when the group has its first assignment: records appended from then on are seen, also by a subscription from `latest`. */
  ready(): Promise<void>;
  /** Stops fetching, lets running handlers finish until `drainMs`, commits what is finished, leaves the group. */
  close(drainMs: number): Promise<void>;
}

/** How far a group is behind on one partition; a group that never committed is behind by all that the partition holds. */
export interface PartitionLag {
  readonly topic: string;
  readonly partition: number;
  readonly records: bigint;
}

/**
 * The event log port: an ordered, partitioned, durable log with consumer groups. Two adapters (Kafka, Postgres) pass one
 * conformance suite, `describeEventLog`. The abstract class is the injection token.
 *
 * Delivery is at least once: a batch whose handler did not resolve, or whose process died, is delivered again. Order is kept per
 * partition, hence per key. Only the highest contiguous finished offset is committed.
 */
export abstract class EventLog {
  abstract readonly kind: 'kafka' | 'postgres';
  /** Creates missing topics, adds missing partitions, and throws when a topic has more partitions than its contract. Idempotent. */
  abstract ensureTopics(topics: readonly TopicSpec[]): Promise<void>;
  /**
   * Resolves when all records are durable. Records of one key keep the order of the array and of awaited calls. One value is at most
   * `RECORD_VALUE_BYTES_MAX`; the array may be of any size. Rejects for a topic that does not exist.
   */
  abstract append(topic: string, records: readonly AppendRecord[]): Promise<void>;
  abstract subscribe(options: SubscribeOptions): Promise<Subscription>;
  abstract lag(group: string, topics: readonly string[]): Promise<readonly PartitionLag[]>;
  /** Resolves when the log answers; rejects with the reason otherwise. Joins no group. */
  abstract ping(): Promise<void>;
  /** Closes all subscriptions (draining up to `drainMs`) and connections. */
  abstract close(drainMs: number): Promise<void>;
}
