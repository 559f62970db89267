import { setTimeout as sleep } from 'node:timers/promises';
import { DatabaseUnavailableError } from '#database';
import { ATTRIBUTE, countMetric, recordMetric, type WideLogger } from '#telemetry';
import type { BatchKey } from '../batch.store.js';
import type { DeliveryResult } from '../delivery.store.js';
import { isTerminal } from '../push-delivery-state.js';
import type { WriteResults } from './write-results.js';

/** A result waits at most so long for others to be written with; what a crash forgets is sent again. */
export const RESULTS_DELAY_MS_MAX = 50;
/** Results of one statement. */
export const RESULTS_BATCH_MAX = 500;
/** Wait before results are tried again while Postgres is down. */
const RETRY_DELAY_MS = 1_000;

/** What the writer needs of its lane. */
export interface ResultWriterParts {
  readonly writeResults: WriteResults;
  readonly log: WideLogger;
  readonly now: () => Date;
  /** Told after results left the writer, written or given up: batches whose counts changed, and how many results there were. */
  readonly onWritten: (batches: readonly BatchKey[], results: number) => void;
}

/**
 * Collects the results of one lane and writes them back in one statement per batch. While Postgres is down they wait; results that
 * come too late for their lease change nothing, and their messages are sent again by whoever has them then.
 */
export class ResultWriter {
  private waiting: DeliveryResult[] = [];
  private timer: NodeJS.Timeout | undefined;
  private writing: Promise<void> = Promise.resolve();
  private isClosing = false;

  constructor(private readonly parts: ResultWriterParts) {}

  add(results: readonly DeliveryResult[]): void {
    if (results.length === 0) return;
    this.waiting.push(...results);
    if (this.waiting.length >= RESULTS_BATCH_MAX) void this.flush();
    else this.timer ??= setTimeout(() => void this.flush(), RESULTS_DELAY_MS_MAX);
  }

  /** Writes what waits; resolves when that and all before it left the writer. Never rejects. */
  flush(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    const waiting = this.waiting;
    this.waiting = [];
    for (let from = 0; from < waiting.length; from += RESULTS_BATCH_MAX) {
      const batch = waiting.slice(from, from + RESULTS_BATCH_MAX);
      this.writing = this.writing.then(() => this.write(batch));
    }
    return this.writing;
  }

  /** As `flush`, for the last time: what cannot be written now is left to the end of its lease. */
  close(): Promise<void> {
    this.isClosing = true;
    return this.flush();
  }

  private async write(results: readonly DeliveryResult[]): Promise<void> {
    let batches: readonly BatchKey[] = [];
    try {
      const outcome = await this.writeWhenPossible(results);
      batches = outcome.batches;
      if (outcome.written < results.length) this.parts.log.warn('push.results.superseded', { results: results.length - outcome.written });
      if (outcome.pruned > 0) this.parts.log.info('push.devices.pruned', { devices: outcome.pruned });
      countResults(results, this.parts.now());
    } catch (error) {
      // With Postgres away until the leases ended, or until the process did, others send these again: nobody has to act.
      const level = error instanceof DatabaseUnavailableError ? 'warn' : 'error';
      this.parts.log[level]('push.results.lost', { results: results.length }, error);
    }
    this.parts.onWritten(batches, results.length);
  }

  private async writeWhenPossible(results: readonly DeliveryResult[]) {
    for (;;) {
      try {
        return await this.parts.writeResults.write(results, this.parts.now());
      } catch (error) {
        if (!(error instanceof DatabaseUnavailableError) || this.isClosing || this.isTooLate(results)) throw error;
        await sleep(RETRY_DELAY_MS);
      }
    }
  }

  /** True when each lease has ended: the results would change nothing any more. */
  private isTooLate(results: readonly DeliveryResult[]): boolean {
    const nowMs = this.parts.now().getTime();
    return results.every(({ delivery }) => delivery.leaseEndsAt.getTime() <= nowMs);
  }
}

const PUSH = { [ATTRIBUTE.channel]: 'push' };

function countResults(results: readonly DeliveryResult[], now: Date): void {
  const counts = new Map<string, { amount: number; state: string; reason: string | null }>();
  for (const { delivery, state, reason } of results) {
    if (!isTerminal(state)) continue;
    const key = `${state} ${reason ?? ''}`;
    const known = counts.get(key);
    counts.set(key, { amount: (known?.amount ?? 0) + 1, state, reason });
    if (state === 'accepted') recordMetric('deliveryDuration', (now.getTime() - delivery.createdAt.getTime()) / 1_000, PUSH);
  }
  for (const { amount, state, reason } of counts.values()) {
    const outcome = state === 'accepted' ? 'delivered' : state;
    countMetric('deliveries', amount, {
      ...PUSH,
      [ATTRIBUTE.outcome]: outcome,
      ...(reason === null ? {} : { [ATTRIBUTE.reason]: reason }),
    });
  }
}
