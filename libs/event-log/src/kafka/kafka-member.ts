import type { Consumer, ConsumerCrashEvent, ConsumerGroupJoinEvent, EachBatchPayload, Kafka, Offsets } from 'kafkajs';
import type { WideLogger } from '#telemetry';
import type { SubscribeOptions } from '../event-log.js';
import type { AdminClient } from './admin-client.js';
import { BUSY_WAIT_MS, endFetchWaits } from './fetch-wait.js';
import { toLogRecord } from './kafka-records.js';
import { PartitionWorker } from './partition-worker.js';
import { WorkerSlots } from './worker-slots.js';

/** How often at most the group coordinator hears of the member. kafkajs beats between fetches: see `fetch-wait.ts` for how long they take. */
const HEARTBEAT_INTERVAL_MS = 1_000;
/** How long the other members may take to join again. Handlers do not delay it, see PartitionWorker. */
const REBALANCE_MS_MAX = 30_000;
/** New partitions of a topic are taken up within this time. */
const METADATA_AGE_MS_MAX = 60_000;
/** Least time between two commits: what is finished within it is committed in one request, and repeated after a kill. */
const COMMIT_INTERVAL_MS = 100;
/** kafkajs tries about 6 s to reach its brokers; then the subscription makes a new member. */
const RETRY = { initialRetryTime: 100, maxRetryTime: 1_000, retries: 8, restartOnFailure: async () => false };

/** What a member needs of its subscription. */
export interface KafkaMemberOptions {
  readonly kafka: Kafka;
  readonly admin: AdminClient;
  readonly groupId: string;
  readonly subscription: SubscribeOptions;
  readonly sessionTimeoutMs: number;
  readonly log: WideLogger;
  /** The group gave partitions (or none) to this member, and their starting points are settled. */
  readonly onAssigned: () => void;
  readonly onRebalancing: () => void;
  /** The member is dead; its subscription makes a new one. */
  readonly onCrashed: (error: Error) => void;
}

/**
 * One kafkajs consumer as a member of its group, from joining to leaving or crashing.
 *
 * kafkajs waits for all handlers of one fetch before it fetches, beats or joins again. So its handler only fills the queues of
 * `PartitionWorker`s and returns at once: heartbeats and rebalances never wait for a handler, and no partition waits for another one.
 * A partition whose queue is full is paused, not waited for.
 *
 * Rebalance: while the group rebalances no new batch starts. Afterwards, workers of partitions that stay go on where they are (the
 * consumer is moved behind their queues); workers of lost partitions are aborted, and what they had not committed is handled by the
 * new owner again. A member that was expelled meanwhile has another member id: then all of its partitions count as lost.
 *
 * Invariant: only offsets of workers of the current assignment are committed.
 */
export class KafkaMember {
  private readonly consumer: Consumer;
  private readonly slots: WorkerSlots;
  private workers = new Map<string, PartitionWorker>();
  private memberId: string | undefined;
  private joins = 0;
  private isLeaving = false;
  private commitTimer: NodeJS.Timeout | undefined;
  private committing: Promise<void> | undefined;
  private committedAtMs = -Infinity;
  /**
   * Commits in the generation of the moment of the call. `consumer.commitOffsets` tries again by itself, and would commit offsets of a
   * partition that was lost meanwhile in the name of the next generation.
   */
  private commitOffsets: ((offsets: Offsets) => Promise<void>) | undefined;
  /** Where a group from `latest` began, by partition: kept so that a repeated attempt to commit it does not begin later. */
  private readonly beginnings = new Map<string, string>();

  constructor(private readonly options: KafkaMemberOptions) {
    this.slots = new WorkerSlots(options.subscription.concurrency);
    this.consumer = options.kafka.consumer({
      groupId: options.groupId,
      sessionTimeout: options.sessionTimeoutMs,
      rebalanceTimeout: REBALANCE_MS_MAX,
      heartbeatInterval: HEARTBEAT_INTERVAL_MS,
      maxWaitTimeInMs: BUSY_WAIT_MS,
      metadataMaxAge: METADATA_AGE_MS_MAX,
      allowAutoTopicCreation: false,
      retry: RETRY,
    });
    this.consumer.on(this.consumer.events.GROUP_JOIN, (event: ConsumerGroupJoinEvent) => this.onJoined(event));
    this.consumer.on(this.consumer.events.REBALANCING, () => this.onRebalancing());
    this.consumer.on(this.consumer.events.CRASH, (event: ConsumerCrashEvent) => this.onCrashed(event.payload.error));
  }

  /** Joins the group; the assignment is reported by `onAssigned`. */
  async join(): Promise<void> {
    const { topics, from } = this.options.subscription;
    const steps = [
      () => this.consumer.connect(),
      () => this.consumer.subscribe({ topics: [...topics], fromBeginning: from === 'earliest' }),
      () => this.consumer.run({ autoCommit: false, eachBatch: (payload) => this.onFetched(payload) }),
    ];
    for (const step of steps) {
      await step();
      if (this.isLeaving) return this.disconnect();
    }
    return undefined;
  }

  /** Takes no further batch, lets the running ones finish within `drainMs`, commits, leaves the group. */
  async leave(drainMs: number): Promise<void> {
    this.isLeaving = true;
    this.slots.hold();
    const settled = Promise.all([...this.workers.values()].map((worker) => worker.stop()));
    this.pauseAll();
    await withinMs(settled, drainMs);
    for (const worker of this.workers.values()) worker.abandon('The shutdown deadline passed.');
    await withinMs(settled, ABORT_MS_MAX);
    await withinMs(this.commitRest(), LEAVE_MS_MAX);
    const disconnected = this.disconnect();
    if (this.memberId !== undefined) endFetchWaits(this.memberId);
    await withinMs(disconnected, LEAVE_MS_MAX);
  }

  /** Gives everything up without a word to the group: the member is dead already. */
  async abandon(): Promise<void> {
    this.isLeaving = true;
    this.slots.hold();
    clearTimeout(this.commitTimer);
    for (const worker of this.workers.values()) worker.abandon('The member crashed.');
    await withinMs(this.disconnect(), LEAVE_MS_MAX);
  }

  private async onFetched(payload: EachBatchPayload): Promise<void> {
    const { batch } = payload;
    this.commitOffsets ??= (offsets) => payload.commitOffsetsIfNecessary(offsets);
    const worker = this.workers.get(keyOf(batch.topic, batch.partition));
    if (worker === undefined) throw new Error(`Records of ${batch.topic}/${batch.partition} came without an assignment.`);
    worker.enqueue(batch.messages.map((message) => toLogRecord(batch, message)));
    if (worker.isFull) this.consumer.pause([{ topic: batch.topic, partitions: [batch.partition] }]);
  }

  private onRebalancing(): void {
    if (this.isLeaving) return;
    this.slots.hold();
    void this.commitRest();
    this.options.onRebalancing();
  }

  private onJoined({ payload }: ConsumerGroupJoinEvent): void {
    if (this.isLeaving) return;
    this.joins += 1;
    const wasExpelled = this.memberId !== payload.memberId;
    this.memberId = payload.memberId;
    const before = this.workers;
    this.workers = new Map();
    const fresh: PartitionWorker[] = [];
    for (const [topic, partitions] of Object.entries(payload.memberAssignment)) {
      for (const partition of partitions) {
        const kept = wasExpelled ? undefined : before.get(keyOf(topic, partition));
        const worker = kept ?? this.makeWorker(topic, partition);
        this.workers.set(keyOf(topic, partition), worker);
        if (kept === undefined) fresh.push(worker);
        else this.goOn(kept);
      }
    }
    for (const [key, worker] of before) if (this.workers.get(key) !== worker) worker.abandon('The partition was given to another member.');
    void this.begin(fresh, this.joins);
  }

  /** A worker that stays: kafkajs would fetch from the committed offset, which may lie before what the worker has. */
  private goOn(worker: PartitionWorker): void {
    const { topic, partition, fetchOffset } = worker;
    if (fetchOffset !== undefined) this.consumer.seek({ topic, partition, offset: String(fetchOffset) });
    this.setPaused(worker, worker.isFull);
  }

  /** Settles where new workers start, then lets all work. `join` tells whether the group has rebalanced again meanwhile. */
  private async begin(fresh: readonly PartitionWorker[], join: number): Promise<void> {
    const isLatest = this.options.subscription.from === 'latest';
    for (const worker of fresh) this.setPaused(worker, isLatest);
    try {
      if (isLatest && fresh.length > 0) await this.beginAtLatest(fresh, join);
    } catch (error) {
      this.options.log.warn('event_log.begin.failed', { group: this.options.groupId }, error);
      if (join === this.joins && !this.isLeaving) this.onCrashed(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    if (join !== this.joins || this.isLeaving) return;
    this.slots.resume();
    this.options.onAssigned();
  }

  /**
   * Commits the end of each partition that the group has no offset for. kafkajs alone would begin at what is the end when it first
   * fetches, and again after each rebalance or restart before the first commit: records in between would be skipped.
   */
  private async beginAtLatest(fresh: readonly PartitionWorker[], join: number): Promise<void> {
    const { admin, groupId, subscription } = this.options;
    const committed = await admin.use((connected) => connected.fetchOffsets({ groupId, topics: [...subscription.topics] }));
    const offsets: { topic: string; partition: number; offset: string }[] = [];
    for (const topic of new Set(fresh.map((worker) => worker.topic))) {
      const ends = await admin.use((connected) => connected.fetchTopicOffsets(topic));
      for (const { partition } of fresh.filter((worker) => worker.topic === topic)) {
        const key = keyOf(topic, partition);
        const known = committed.find((entry) => entry.topic === topic)?.partitions.find((entry) => entry.partition === partition);
        if (known !== undefined && BigInt(known.offset) >= 0n) continue;
        const offset = this.beginnings.get(key) ?? ends.find((end) => end.partition === partition)?.high ?? '0';
        this.beginnings.set(key, offset);
        offsets.push({ topic, partition, offset });
      }
    }
    if (join !== this.joins || this.isLeaving) return;
    if (offsets.length > 0) await this.consumer.commitOffsets(offsets);
    if (join !== this.joins || this.isLeaving) return;
    for (const offset of offsets) this.consumer.seek(offset);
    for (const worker of fresh) this.setPaused(worker, false);
  }

  private makeWorker(topic: string, partition: number): PartitionWorker {
    const { subscription, log } = this.options;
    const worker: PartitionWorker = new PartitionWorker({
      topic,
      partition,
      subscription,
      slots: this.slots,
      log,
      onFinished: () => this.scheduleCommit(),
      onRoom: () => {
        if (this.workers.get(keyOf(topic, partition)) === worker && !this.isLeaving) this.setPaused(worker, false);
      },
    });
    return worker;
  }

  private onCrashed(error: Error): void {
    if (this.isLeaving) return;
    this.isLeaving = true;
    this.options.onCrashed(error);
  }

  private scheduleCommit(): void {
    if (this.commitTimer !== undefined || this.committing !== undefined || this.isLeaving) return;
    const waitMs = Math.max(0, this.committedAtMs + COMMIT_INTERVAL_MS - performance.now());
    this.commitTimer = setTimeout(() => {
      this.commitTimer = undefined;
      void this.commit();
    }, waitMs);
  }

  /** Commits what the current workers have finished. One request at a time; what is finished meanwhile goes with the next one. */
  private async commit(): Promise<void> {
    this.committing ??= this.commitFinished().finally(() => {
      this.committing = undefined;
      this.committedAtMs = performance.now();
      if (this.uncommitted().length > 0) this.scheduleCommit();
    });
    await this.committing;
  }

  private async commitRest(): Promise<void> {
    clearTimeout(this.commitTimer);
    this.commitTimer = undefined;
    await this.committing;
    await this.commit();
  }

  private async commitFinished(): Promise<void> {
    const finished = this.uncommitted();
    if (finished.length === 0 || this.commitOffsets === undefined) return;
    try {
      await this.commitOffsets({ topics: toCommit(finished) });
      for (const { worker, offset } of finished) worker.committedOffset = offset;
    } catch (error) {
      this.options.log.debug('event_log.commit.failed', {
        group: this.options.groupId,
        partitions: finished.length,
        reason: String(error),
      });
    }
  }

  private uncommitted(): FinishedOffset[] {
    return [...this.workers.values()].flatMap((worker) => {
      const offset = worker.commitOffset;
      return offset === undefined || offset === worker.committedOffset ? [] : [{ worker, offset }];
    });
  }

  private setPaused(worker: PartitionWorker, isPaused: boolean): void {
    const partitions = [{ topic: worker.topic, partitions: [worker.partition] }];
    if (isPaused) this.consumer.pause(partitions);
    else this.consumer.resume(partitions);
  }

  private pauseAll(): void {
    for (const worker of this.workers.values()) this.setPaused(worker, true);
  }

  private async disconnect(): Promise<void> {
    await this.consumer.disconnect().catch(() => undefined);
  }
}

/** What one worker has finished. */
interface FinishedOffset {
  readonly worker: PartitionWorker;
  readonly offset: bigint;
}

function toCommit(finished: readonly FinishedOffset[]): Offsets['topics'] {
  const byTopic = new Map<string, { partition: number; offset: string }[]>();
  for (const { worker, offset } of finished) {
    const partitions = byTopic.get(worker.topic) ?? [];
    partitions.push({ partition: worker.partition, offset: String(offset) });
    byTopic.set(worker.topic, partitions);
  }
  return [...byTopic].map(([topic, partitions]) => ({ topic, partitions }));
}

/** How long an aborted handler may take to notice. */
const ABORT_MS_MAX = 1_000;
/** How long the last commit, and then the leave, may take. */
const LEAVE_MS_MAX = 5_000;

function keyOf(topic: string, partition: number): string {
  return `${topic}/${partition}`;
}

async function withinMs(work: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work, deadline]).finally(() => clearTimeout(timer));
}
