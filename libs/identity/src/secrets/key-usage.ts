import { Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { WideLogger } from '#telemetry';
import { IdentityStore, type KeyUses } from '../identity.store.js';

/** How long a use may wait in memory; a crash loses at most this much of the counts. */
const FLUSH_INTERVAL_MS = 3_000;
/** Keys counted between two flushes; uses of further keys are not counted. */
const KEYS_MAX = 10_000;
const SWEEP_INTERVAL_MS = 3_600_000;
/** Days that are kept: one overlap of the longest kind, and a few to look back. */
const KEPT_DAYS = 35;

/**
 * Counts the proofs that were made with each key, valid or not. In memory between two flushes, so that a proof costs no write; counts
 * are for people who decide about a key, and may lack a few seconds after a crash.
 */
@Injectable()
export class KeyUsage implements OnApplicationBootstrap, OnApplicationShutdown {
  private waiting = new Map<string, KeyUses>();
  private flushing: Promise<void> = Promise.resolve();
  private timers: NodeJS.Timeout[] = [];

  constructor(
    private readonly store: IdentityStore,
    private readonly logger: WideLogger,
  ) {}

  onApplicationBootstrap(): void {
    this.timers = [
      setInterval(() => void this.flush(), FLUSH_INTERVAL_MS).unref(),
      setInterval(() => void this.sweep(), SWEEP_INTERVAL_MS).unref(),
    ];
  }

  async onApplicationShutdown(): Promise<void> {
    for (const timer of this.timers) clearInterval(timer);
    await this.flush();
  }

  /** One proof was made with this key. */
  count(environmentId: string, secretId: string, uses = 1): void {
    const key = `${environmentId} ${secretId}`;
    const known = this.waiting.get(key)?.uses ?? 0;
    if (known === 0 && this.waiting.size >= KEYS_MAX) return;
    this.waiting.set(key, { environmentId, secretId, uses: known + uses });
  }

  /** Writes what was counted; never rejects. Counts that could not be written wait for the next time. */
  flush(): Promise<void> {
    this.flushing = this.flushing.then(() => this.write());
    return this.flushing;
  }

  private async write(): Promise<void> {
    if (this.waiting.size === 0) return;
    const entries = [...this.waiting.entries()].sort(([left], [right]) => (left < right ? -1 : 1)).map(([, uses]) => uses);
    this.waiting = new Map();
    try {
      await this.store.addUses(entries);
    } catch (error) {
      for (const { environmentId, secretId, uses } of entries) this.count(environmentId, secretId, uses);
      this.logger.warn('identity.key_uses.not_counted', { keys: entries.length }, error);
    }
  }

  private async sweep(): Promise<void> {
    await this.store.deleteUsesBefore(KEPT_DAYS).catch((error: unknown) => {
      this.logger.warn('identity.key_uses.sweep_failed', {}, error);
    });
  }
}
