import type { WideLogger } from '#telemetry';
import { type LogRecord, type RecordBatch, REDELIVERY_PAUSE_MS, type SubscribeOptions } from '../event-log.js';
import { BatchInterruptedError } from '../event-log.errors.js';
import { OffsetTracker } from '../offset-tracker.js';
import type { WorkerSlots } from './worker-slots.js';

/** Fetched bytes of one partition that may wait for its handler: beyond it the partition is not fetched. */
export const QUEUE_BYTES_MAX = 4_000_000;
/** Fetching goes on below this; half of the bound, so that the next fetch is there before the queue runs dry. */
const QUEUE_BYTES_RESUME = QUEUE_BYTES_MAX / 2;
/** What a record costs in memory beside its value, estimated. */
const RECORD_OVERHEAD_BYTES = 300;

/** What a worker needs of its subscription. */
export interface PartitionWorkerOptions {
  readonly topic: string;
  readonly partition: number;
  readonly subscription: Pick<SubscribeOptions, 'group' | 'batchRecordsMax' | 'handler'>;
  readonly slots: WorkerSlots;
  readonly log: WideLogger;
  /** Records were finished: the commit offset may have advanced. */
  readonly onFinished: () => void;
  /** There is room in the queue again. */
  readonly onRoom: () => void;
}

/**
 * Handles the records of one assigned partition, one batch at a time, while the consumer keeps fetching and beating for all
 * partitions: a partition that waits or retries does not hold up another one, nor the group.
 *
 * Life cycle: made when the partition is assigned; `enqueue` feeds it; a rejected batch stays at the head of the queue and is handed
 * over again after `REDELIVERY_PAUSE_MS`; `stop` lets the batch at work finish; `abandon` aborts it. A stopped worker never starts again.
 */
export class PartitionWorker {
  private queue: LogRecord[] = [];
  private queuedBytes = 0;
  private nextOffset: bigint | undefined;
  private deliveredUpTo = -1n;
  private readonly tracker = new OffsetTracker();
  private working: Promise<void> | undefined;
  private isStopped = false;
  private batchAbort: AbortController | undefined;
  private endRest: () => void = () => undefined;
  /** The offset that was last committed for this partition by this worker. */
  committedOffset: bigint | undefined;

  constructor(private readonly options: PartitionWorkerOptions) {}

  get topic(): string {
    return this.options.topic;
  }

  get partition(): number {
    return this.options.partition;
  }

  /** What may be committed; `undefined` while nothing is finished. */
  get commitOffset(): bigint | undefined {
    return this.tracker.commitOffset;
  }

  /** Where fetching has to go on; `undefined` before the first fetch. */
  get fetchOffset(): bigint | undefined {
    return this.nextOffset;
  }

  get isFull(): boolean {
    return this.queuedBytes >= QUEUE_BYTES_MAX;
  }

  /** Adds fetched records; what was fetched before is dropped, as after a fetch that overlaps a rebalance. */
  enqueue(records: readonly LogRecord[]): void {
    if (this.isStopped) return;
    for (const record of records) {
      if (this.nextOffset !== undefined && record.offset < this.nextOffset) continue;
      this.nextOffset = record.offset + 1n;
      this.queue.push(record);
      this.queuedBytes += bytesOf(record);
    }
    this.start();
  }

  /** Takes no further batch. Resolves when the batch at work is settled. */
  async stop(): Promise<void> {
    this.isStopped = true;
    this.queue = [];
    this.endRest();
    if (this.batchAbort !== undefined) await this.working;
  }

  /** Takes no further batch and tells the handler at work to stop: the partition is lost, or the shutdown deadline passed. */
  abandon(reason: string): void {
    void this.stop();
    this.batchAbort?.abort(new BatchInterruptedError(reason));
  }

  private start(): void {
    if (this.working !== undefined || this.isStopped || this.queue.length === 0) return;
    this.working = this.work().finally(() => {
      this.working = undefined;
      this.start();
    });
  }

  private async work(): Promise<void> {
    while (this.queue.length > 0 && !this.isStopped) {
      await this.options.slots.acquire();
      let isResolved = true;
      try {
        if (!this.isStopped) isResolved = await this.handleNext();
      } finally {
        this.options.slots.release();
      }
      if (!isResolved && !this.isStopped) await this.rest();
    }
  }

  private async handleNext(): Promise<boolean> {
    const records = this.queue.slice(0, this.options.subscription.batchRecordsMax);
    this.tracker.deliver(records.map((record) => record.offset).filter((offset) => offset > this.deliveredUpTo));
    this.deliveredUpTo = maxOf(this.deliveredUpTo, records.at(-1)?.offset ?? -1n);
    const isResolved = await this.callHandler({ topic: this.topic, partition: this.partition, records });
    if (isResolved) for (const record of records) this.tracker.finish(record.offset);
    this.dropFinished();
    this.options.onFinished();
    return isResolved;
  }

  private async callHandler(batch: RecordBatch): Promise<boolean> {
    const { subscription, log } = this.options;
    const abort = new AbortController();
    this.batchAbort = abort;
    try {
      await subscription.handler(batch, {
        signal: abort.signal,
        finished: (offset) => {
          this.tracker.finish(offset);
          this.options.onFinished();
        },
        heartbeat: async () => abort.signal.throwIfAborted(),
      });
      return true;
    } catch (error) {
      const fields = { group: subscription.group, topic: this.topic, partition: this.partition, records: batch.records.length };
      if (!this.isStopped) log.warn('event_log.batch.rejected', fields, error);
      return false;
    } finally {
      this.batchAbort = undefined;
    }
  }

  /** Takes the finished front off the queue; what stands behind the first unfinished record is handed over again with it. */
  private dropFinished(): void {
    const commitOffset = this.tracker.commitOffset;
    if (commitOffset === undefined || this.isStopped) return;
    const wasFull = this.queuedBytes >= QUEUE_BYTES_RESUME;
    const kept = this.queue.findIndex((record) => record.offset >= commitOffset);
    const dropped = this.queue.splice(0, kept === -1 ? this.queue.length : kept);
    for (const record of dropped) this.queuedBytes -= bytesOf(record);
    if (wasFull && this.queuedBytes < QUEUE_BYTES_RESUME) this.options.onRoom();
  }

  private async rest(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, REDELIVERY_PAUSE_MS);
      this.endRest = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

function bytesOf(record: LogRecord): number {
  return record.value.length + RECORD_OVERHEAD_BYTES;
}

function maxOf(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
