import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { WideLogger } from '#telemetry';
import { BatchStore, type BatchKey } from '../batch.store.js';
import { SettleBatches } from './settle-batches.js';

/** A batch is counted at most this often while it is open. */
export const SETTLE_INTERVAL_MS = 250;
/** Batches of one transaction. */
const SETTLE_BATCHES_MAX = 200;
/** How often a page of the open batches is looked at, whether or not this process sent anything of them. */
const SWEEP_INTERVAL_MS = 10_000;
const SWEEP_BATCHES_MAX = 100;
const FIRST = { messageKey: '00000000-0000-0000-0000-000000000000', chunkNo: -1 };

/**
 * Counts and reports the batches that senders of this process changed, some times a second, and sweeps over all open batches for those
 * whose last report a crashed process owes. `stop` ends it after a last round.
 */
@Injectable()
export class Settler {
  private changed = new Map<string, BatchKey>();
  private sweepAfter = FIRST;
  private sweepAtMs = 0;
  private loop: Promise<void> | undefined;
  private readonly stopping = new AbortController();
  /** Ends the rest between two rounds. */
  private wake: () => void = () => undefined;

  constructor(
    private readonly settleBatches: SettleBatches,
    private readonly batches: BatchStore,
    private readonly log: WideLogger,
  ) {}

  /** Notes batches whose counts changed. */
  mark(batches: readonly BatchKey[]): void {
    for (const batch of batches) this.changed.set(`${batch.environmentId}:${batch.messageKey}:${batch.chunkNo}`, batch);
    if (this.changed.size > 0) this.wake();
  }

  start(): void {
    this.loop ??= this.run();
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    this.wake();
    await this.loop;
    await this.settleChanged();
  }

  /** Counts and reports what changed. What fails is tried again next time. */
  async settleChanged(): Promise<void> {
    const changed = [...this.changed.values()];
    this.changed = new Map();
    for (let from = 0; from < changed.length; from += SETTLE_BATCHES_MAX) {
      const keys = changed.slice(from, from + SETTLE_BATCHES_MAX);
      try {
        await this.settleBatches.settle(keys);
      } catch (error) {
        this.mark(keys);
        this.log.warn('push.batches.unsettled', { batches: keys.length }, error);
      }
    }
  }

  /** Settles those of the next open batches of which nothing is pending. */
  async sweep(): Promise<void> {
    const open = await this.batches.listOpen(this.sweepAfter, SWEEP_BATCHES_MAX);
    this.sweepAfter = (open.length === SWEEP_BATCHES_MAX ? open.at(-1) : undefined) ?? FIRST;
    await this.settleBatches.settleFinished(open);
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      await this.settleChanged();
      if (performance.now() >= this.sweepAtMs) {
        this.sweepAtMs = performance.now() + SWEEP_INTERVAL_MS;
        await this.sweep().catch((error: unknown) => this.log.warn('push.sweep.failed', {}, error));
      }
      await sleep(SETTLE_INTERVAL_MS, undefined, { signal }).catch(() => undefined);
      await this.restUntilChanged();
    }
  }

  /** A process that sends nothing wakes for its sweeps only. */
  private async restUntilChanged(): Promise<void> {
    if (this.changed.size > 0 || this.stopping.signal.aborted) return;
    const changed = new Promise<void>((resolve) => (this.wake = resolve));
    const timer = setTimeout(this.wake, Math.max(0, this.sweepAtMs - performance.now()));
    await changed;
    clearTimeout(timer);
  }
}
