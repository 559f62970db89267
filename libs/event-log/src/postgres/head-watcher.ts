/**
 * Knows how far each watched partition is filled, and tells who waits for it.
 *
 * Life cycle: idle (nobody watches; no connection, no timer) -> watching -> idle … -> closed. The first watch starts to listen, the
 * last one to end stops it.
 *
 * Concurrency and invariants:
 * - NOTIFY is only a wake-up: the truth is read from the head rows. A lost notification (reconnect, lost connection) costs at most one
 *   poll interval, because heads are also read by a timer: `pollMsMin` after something happened, doubling up to `pollMsMax`.
 * - One read at a time. What is asked for meanwhile is answered by one more read, at most every `READ_GAP_MS`, so that a thousand
 *   appends per second do not cost a thousand reads.
 * - A head never goes back: a slow answer cannot hide records.
 */
import type { Database, DatabaseLog } from '#database';
import { APPEND_CHANNEL, type HeadRow, type LogStore } from './log.store.js';

/** How often heads are read when nobody notifies. */
export interface PollInterval {
  readonly pollMsMin: number;
  readonly pollMsMax: number;
}

const READ_GAP_MS = 5;
/** After a read that failed; what was notified meanwhile waits for it. */
const FAULT_PAUSE_MS_MAX = 2_000;

interface Watch {
  readonly topicIds: readonly number[];
  readonly onAdvance: () => void;
}

export class HeadWatcher {
  private readonly watches = new Set<Watch>();
  private readonly heads = new Map<string, bigint>();
  private stopListening: Promise<() => Promise<void>> | undefined;
  private timer: NodeJS.Timeout | undefined;
  private reading = false;
  private readAgain = false;
  private lastReadAtMs = Number.NEGATIVE_INFINITY;
  private intervalMs: number;

  constructor(
    private readonly database: Database,
    private readonly store: LogStore,
    private readonly poll: PollInterval,
    private readonly log: DatabaseLog,
  ) {
    this.intervalMs = poll.pollMsMin;
  }

  /**
   * Calls `onAdvance` whenever one of the topics may have new records or partitions. Resolves when the heads were read for the first
   * time; the answer ends it.
   * @throws DatabaseUnavailableError
   */
  async watch(topicIds: readonly number[], onAdvance: () => void): Promise<() => Promise<void>> {
    const watch = { topicIds, onAdvance };
    this.watches.add(watch);
    try {
      this.stopListening ??= this.database.listen(APPEND_CHANNEL, (payload) => this.onNotify(payload));
      await this.stopListening;
      this.spread(await this.store.heads(topicIds));
    } catch (error) {
      await this.unwatch(watch);
      throw error;
    }
    this.schedule(this.intervalMs);
    return () => this.unwatch(watch);
  }

  /** The next offset of a partition as far as known: records below it can be read. */
  headOf(topicId: number, partition: number): bigint {
    return this.heads.get(keyOf(topicId, partition)) ?? 0n;
  }

  /** Partitions of a topic as far as known. */
  partitionsOf(topicId: number): number[] {
    const prefix = `${topicId}:`;
    return [...this.heads.keys()].filter((key) => key.startsWith(prefix)).map((key) => Number(key.slice(prefix.length)));
  }

  private onNotify(payload: string): void {
    // The empty payload follows a reconnect: anything may have happened.
    const topicId = payload === '' ? undefined : Number(payload);
    const watched = [...this.watches].some((watch) => topicId === undefined || watch.topicIds.includes(topicId));
    if (!watched) return;
    const waitMs = this.lastReadAtMs + READ_GAP_MS - performance.now();
    if (waitMs > 0) this.schedule(waitMs);
    else void this.read();
  }

  private async read(): Promise<void> {
    if (this.reading) {
      this.readAgain = true;
      return;
    }
    this.reading = true;
    clearTimeout(this.timer);
    try {
      const topicIds = [...new Set([...this.watches].flatMap((watch) => watch.topicIds))];
      const advanced = this.spread(await this.store.heads(topicIds));
      this.intervalMs = advanced ? this.poll.pollMsMin : Math.min(this.intervalMs * 2, this.poll.pollMsMax);
    } catch (error) {
      this.intervalMs = Math.min(FAULT_PAUSE_MS_MAX, this.poll.pollMsMax);
      this.log.warn('event_log.heads.read_failed', {}, error);
    } finally {
      this.reading = false;
      this.lastReadAtMs = performance.now();
      this.schedule(this.readAgain ? READ_GAP_MS : this.intervalMs);
      this.readAgain = false;
    }
  }

  /** Remembers heads and tells everybody who watches a topic that has advanced; whoever read them. */
  private spread(rows: readonly HeadRow[]): boolean {
    const advanced = new Set<number>();
    for (const row of rows) {
      const key = keyOf(row.topicId, row.partition);
      const known = this.heads.get(key);
      if (known !== undefined && known >= row.nextOffset) continue;
      this.heads.set(key, row.nextOffset);
      advanced.add(row.topicId);
    }
    for (const watch of this.watches) if (watch.topicIds.some((topicId) => advanced.has(topicId))) watch.onAdvance();
    return advanced.size > 0;
  }

  private schedule(delayMs: number): void {
    clearTimeout(this.timer);
    if (this.watches.size > 0) this.timer = setTimeout(() => void this.read(), delayMs);
  }

  private async unwatch(watch: Watch): Promise<void> {
    this.watches.delete(watch);
    if (this.watches.size > 0) return;
    clearTimeout(this.timer);
    const stopListening = this.stopListening;
    this.stopListening = undefined;
    await stopListening?.then(
      (stop) => stop(),
      () => undefined,
    );
  }
}

function keyOf(topicId: number, partition: number): string {
  return `${topicId}:${partition}`;
}
