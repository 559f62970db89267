import type { BatchContext } from './event-log.js';
import { BatchInterruptedError, HandlerStuckError } from './event-log.errors.js';

/** How often the log hears that a batch is alive. */
export const HEARTBEAT_INTERVAL_MS = 3_000;
/** Longest time for one handler call. Work that may take longer has to be cut into smaller batches. */
export const HANDLER_MS_MAX = 120_000;

/**
 * Keeps one batch alive: heartbeats by timer while the handler works and while the runner waits, and a watchdog that ends both for a
 * handler that does not come to an end. A heartbeat that fails, or the log's own signal, interrupts the batch.
 */
export class BatchLiveness {
  private readonly interruption = new AbortController();
  private readonly signal: AbortSignal;
  private heartbeats: NodeJS.Timeout | undefined;
  private isBeating = false;

  /**
   * @param context what the log gave with the batch
   * @param draining aborted when the process shuts down: ends waits, not handlers
   */
  constructor(
    private readonly context: BatchContext,
    private readonly draining: AbortSignal,
  ) {
    this.signal = AbortSignal.any([context.signal, this.interruption.signal]);
  }

  /**
   * Calls the handler with a signal that is aborted when the batch is interrupted or the call takes longer than `HANDLER_MS_MAX`.
   * @throws HandlerStuckError after `HANDLER_MS_MAX`, without waiting for the handler; whatever the handler throws otherwise
   */
  async watch(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    this.throwIfInterrupted();
    const watchdog = new AbortController();
    this.startHeartbeats();
    let timer: NodeJS.Timeout | undefined;
    const stuck = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        const error = new HandlerStuckError(`The handler did not settle within ${HANDLER_MS_MAX} ms.`);
        this.stop();
        watchdog.abort(error);
        reject(error);
      }, HANDLER_MS_MAX);
    });
    try {
      await Promise.race([work(AbortSignal.any([this.signal, watchdog.signal])), stuck]);
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Waits while heartbeats go on.
   * @throws BatchInterruptedError when the batch is interrupted or the process drains meanwhile
   */
  async wait(delayMs: number): Promise<void> {
    this.throwIfInterrupted();
    const ended = AbortSignal.any([this.signal, this.draining]);
    this.startHeartbeats();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(done, ended.aborted ? 0 : delayMs);
      ended.addEventListener('abort', done, { once: true });
      function done(): void {
        clearTimeout(timer);
        ended.removeEventListener('abort', done);
        resolve();
      }
    });
    if (this.draining.aborted) throw new BatchInterruptedError('The process shuts down.');
    this.throwIfInterrupted();
  }

  /** @throws BatchInterruptedError when the partition was lost or the shutdown deadline passed */
  throwIfInterrupted(): void {
    if (this.signal.aborted) throw new BatchInterruptedError('The batch is not ours any more.', { cause: this.signal.reason });
  }

  /** Ends the heartbeats; the batch is settled. */
  stop(): void {
    clearInterval(this.heartbeats);
    this.heartbeats = undefined;
  }

  /** One timer for the whole batch: short calls and waits in turn must not put the next heartbeat off. */
  private startHeartbeats(): void {
    this.heartbeats ??= setInterval(() => void this.beat(), HEARTBEAT_INTERVAL_MS);
  }

  private async beat(): Promise<void> {
    if (this.isBeating) return;
    this.isBeating = true;
    try {
      await this.context.heartbeat();
    } catch (error) {
      this.interruption.abort(error);
    } finally {
      this.isBeating = false;
    }
  }
}
