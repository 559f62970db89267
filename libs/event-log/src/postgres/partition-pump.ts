/**
 * Moves records from the partitions in hand to the handler of one subscription.
 *
 * Life cycle of a step (one partition, one batch): read when nothing is read ahead -> handler -> commit -> next partition. A partition
 * rests after a rejected batch or a failed statement; the others go on.
 *
 * Concurrency and invariants:
 * - At most `concurrency` steps at once, at most one per partition: records of a key are handled one after another.
 * - Partitions take turns: who was served goes to the end of the line.
 * - The position only moves behind finished records; the commit is made before the partition's next batch begins, so at most one batch
 *   per partition is delivered again after a kill.
 * - Whether a partition is still ours is decided by the commit (epoch), not by memory. A refused commit loses the partition.
 * - A commit that could not be made because Postgres is away is repeated before anything else happens on the partition.
 */
import type { DatabaseLog } from '#database';
import { BatchInterruptedError } from '../event-log.errors.js';
import { type BatchContext, type LogRecord, REDELIVERY_PAUSE_MS, type SubscribeOptions } from '../event-log.js';
import { OffsetTracker } from '../offset-tracker.js';
import type { HeadWatcher } from './head-watcher.js';
import type { LogStore } from './log.store.js';
import type { PartitionCursor } from './partition-cursor.js';

/** Records read at once where the handler takes fewer. */
const READ_AHEAD_RECORDS = 500;
const READ_BYTES_MAX = 4 * 1024 * 1024;
/** How long a partition rests after a statement failed. */
const FAULT_PAUSE_MS = 500;

/** What the pump asks of the side that owns the partitions. */
export interface PumpOwner {
  /** Makes an offset durable; false when the partition is not ours any more. */
  commit(cursor: PartitionCursor, offset: bigint): Promise<boolean>;
  /** False once the right to the partitions is in doubt, e.g. because the lease ran out. */
  isSure(): boolean;
  /** A commit was refused. */
  onRefused(cursor: PartitionCursor): void;
}

/** What a pump is made of. */
export interface PumpParts {
  readonly options: SubscribeOptions;
  readonly store: LogStore;
  readonly watcher: HeadWatcher;
  readonly owner: PumpOwner;
  readonly log: DatabaseLog;
}

export class PartitionPump {
  /** In the order of their turns. */
  private line: PartitionCursor[] = [];
  private readonly restTimers = new Set<NodeJS.Timeout>();
  private steps = 0;
  private open = true;

  constructor(private readonly parts: PumpParts) {}

  get cursors(): readonly PartitionCursor[] {
    return this.line;
  }

  /** Takes partitions into hand and begins to work on them. */
  add(cursors: readonly PartitionCursor[]): void {
    this.line.push(...cursors);
    this.wake();
  }

  /** Lets go of partitions at once: their batches are stopped and never committed. */
  lose(cursors: readonly PartitionCursor[]): void {
    for (const cursor of cursors) cursor.lose(interrupted(cursor));
    this.line = this.line.filter((cursor) => cursor.state !== 'lost');
  }

  /** Lets go of a partition after the batch at work was finished and committed. False when it was lost meanwhile. */
  async leave(cursor: PartitionCursor): Promise<boolean> {
    if (cursor.state === 'held') cursor.state = 'leaving';
    await cursor.atWork;
    const left = cursor.state === 'leaving';
    this.lose([cursor]);
    return left;
  }

  /** Begins as many steps as there are free places and partitions with something to do. */
  wake(): void {
    while (this.open && this.steps < this.parts.options.concurrency) {
      const cursor = this.line.find((each) => this.hasWork(each));
      if (cursor === undefined) return;
      this.line = [...this.line.filter((each) => each !== cursor), cursor];
      this.begin(cursor);
    }
  }

  /** Begins nothing more; waits for the handlers at work, at most `drainMs`, then stops them. */
  async close(drainMs: number): Promise<void> {
    this.open = false;
    for (const timer of this.restTimers) clearTimeout(timer);
    const settled = this.allSettled();
    let deadline: NodeJS.Timeout | undefined;
    const passed = new Promise<boolean>((resolve) => {
      deadline = setTimeout(() => resolve(false), drainMs);
    });
    const drained = await Promise.race([settled, passed]);
    clearTimeout(deadline);
    if (!drained) this.lose(this.line);
  }

  /** Resolves to true when no step is at work. */
  private async allSettled(): Promise<boolean> {
    for (const cursor of this.line) await cursor.atWork;
    return true;
  }

  private hasWork(cursor: PartitionCursor): boolean {
    if (cursor.state !== 'held' || cursor.atWork !== undefined || cursor.restUntilMs > performance.now()) return false;
    const head = this.parts.watcher.headOf(cursor.topicId, cursor.partition);
    return cursor.committed < cursor.position || cursor.buffer.length > 0 || head > cursor.position;
  }

  private begin(cursor: PartitionCursor): void {
    this.steps += 1;
    cursor.atWork = this.step(cursor)
      .catch((error: unknown) => this.rest(cursor, FAULT_PAUSE_MS, error))
      .finally(() => {
        cursor.atWork = undefined;
        this.steps -= 1;
        this.wake();
      });
  }

  private async step(cursor: PartitionCursor): Promise<void> {
    await this.commit(cursor);
    if (cursor.buffer.length === 0) await this.read(cursor);
    if (!this.open || cursor.state !== 'held' || cursor.buffer.length === 0) return;
    await this.handle(cursor, cursor.buffer.slice(0, this.parts.options.batchRecordsMax));
  }

  private async read(cursor: PartitionCursor): Promise<void> {
    const head = this.parts.watcher.headOf(cursor.topicId, cursor.partition);
    const records = await this.parts.store.fetch({
      topic: cursor.topic,
      topicId: cursor.topicId,
      partition: cursor.partition,
      from: cursor.position,
      recordsMax: Math.max(this.parts.options.batchRecordsMax, READ_AHEAD_RECORDS),
      bytesMax: READ_BYTES_MAX,
    });
    // Offsets have no gaps, so whatever is missing below the next record, or below a head read earlier, was dropped by retention.
    const next = records[0]?.offset ?? head;
    if (next > cursor.position) {
      const fields = { topic: cursor.topic, partition: cursor.partition, records: Number(next - cursor.position) };
      // A group that begins at 0 only asked for what is still there.
      if (cursor.position > 0n) this.parts.log.error('event_log.records.expired_unread', { group: this.parts.options.group, ...fields });
      cursor.position = next;
    }
    cursor.buffer = records;
  }

  private async handle(cursor: PartitionCursor, records: readonly LogRecord[]): Promise<void> {
    const finished = new OffsetTracker();
    finished.deliver(records.map((record) => record.offset));
    const abort = new AbortController();
    cursor.abort = abort;
    let next = cursor.position;
    let rejection: { readonly error: unknown } | undefined;
    try {
      const batch = { topic: cursor.topic, partition: cursor.partition, records };
      await this.parts.options.handler(batch, this.contextOf(cursor, finished, abort.signal));
      next = (records.at(-1)?.offset ?? next - 1n) + 1n;
    } catch (error) {
      next = finished.commitOffset ?? next;
      rejection = { error };
    } finally {
      cursor.abort = undefined;
    }
    if (cursor.state === 'lost') return;
    cursor.moveTo(next);
    if (rejection !== undefined) this.rest(cursor, REDELIVERY_PAUSE_MS, rejection.error);
    await this.commit(cursor);
  }

  private contextOf(cursor: PartitionCursor, finished: OffsetTracker, signal: AbortSignal): BatchContext {
    return {
      signal,
      finished: (offset) => finished.finish(offset),
      heartbeat: async () => {
        if (cursor.state === 'lost' || !this.parts.owner.isSure()) throw interrupted(cursor);
        const { commitOffset } = finished;
        if (commitOffset === undefined || commitOffset <= cursor.committed) return;
        if (!(await this.tryCommit(cursor, commitOffset))) throw interrupted(cursor);
      },
    };
  }

  /** Commits the position where it is not committed yet. */
  private async commit(cursor: PartitionCursor): Promise<void> {
    if (cursor.committed < cursor.position && cursor.state !== 'lost') await this.tryCommit(cursor, cursor.position);
  }

  private async tryCommit(cursor: PartitionCursor, offset: bigint): Promise<boolean> {
    const accepted = await this.parts.owner.commit(cursor, offset);
    if (accepted) {
      if (offset > cursor.committed) cursor.committed = offset;
      return true;
    }
    this.lose([cursor]);
    this.parts.owner.onRefused(cursor);
    return false;
  }

  private rest(cursor: PartitionCursor, pauseMs: number, error: unknown): void {
    if (cursor.state === 'lost') return;
    const { group } = this.parts.options;
    const fields = { group, topic: cursor.topic, partition: cursor.partition, offset: cursor.position.toString(), pause_ms: pauseMs };
    this.parts.log.warn('event_log.partition.rested', fields, error);
    cursor.restUntilMs = performance.now() + pauseMs;
    if (!this.open) return;
    const timer = setTimeout(() => {
      this.restTimers.delete(timer);
      // The timer may fire a fraction of a millisecond early.
      cursor.restUntilMs = 0;
      this.wake();
    }, pauseMs);
    this.restTimers.add(timer);
  }
}

function interrupted(cursor: PartitionCursor): BatchInterruptedError {
  return new BatchInterruptedError(`Partition ${cursor.partition} of ${cursor.topic} is not in our hands any more`);
}
