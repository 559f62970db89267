import type { LogRecord } from '../event-log.js';

/** What a cursor needs to know of its partition. */
export interface CursorStart {
  readonly topic: string;
  readonly topicId: number;
  readonly partition: number;
  /** Fencing number of this ownership; 0 in a broadcast subscription. */
  readonly epoch: bigint;
  readonly position: bigint;
}

/**
 * One partition in the hands of this process, from its assignment to its loss.
 *
 * `held` -> `leaving` (asked back: the batch at work is finished, no other is begun) -> `lost`; or `held` -> `lost` at once. A lost
 * cursor never commits and never begins a batch; a partition that comes back gets a new cursor.
 */
export class PartitionCursor {
  readonly topic: string;
  readonly topicId: number;
  readonly partition: number;
  readonly epoch: bigint;
  state: 'held' | 'leaving' | 'lost' = 'held';
  /** The next offset to hand over. */
  position: bigint;
  /** Everything below is committed. Behind `position` while a commit is on its way, or could not be made yet. */
  committed: bigint;
  /** Records read ahead, from `position` on. */
  buffer: readonly LogRecord[] = [];
  /** No batch is begun before (`performance.now()`). */
  restUntilMs = 0;
  /** Ends when the step at work has settled; `undefined` when nothing is at work. */
  atWork: Promise<void> | undefined;
  /** Stops the batch at work. */
  abort: AbortController | undefined;

  constructor(start: CursorStart) {
    this.topic = start.topic;
    this.topicId = start.topicId;
    this.partition = start.partition;
    this.epoch = start.epoch;
    this.position = start.position;
    this.committed = start.position;
  }

  /** Goes on from an offset; forgets what was read ahead of it. */
  moveTo(offset: bigint): void {
    this.position = offset;
    const ahead = this.buffer.findIndex((record) => record.offset >= offset);
    this.buffer = ahead < 0 ? [] : this.buffer.slice(ahead);
  }

  /** Ends the ownership and stops the batch at work. */
  lose(reason: Error): void {
    this.state = 'lost';
    this.buffer = [];
    this.abort?.abort(reason);
  }
}
