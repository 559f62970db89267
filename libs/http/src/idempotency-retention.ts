import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown, Optional } from '@nestjs/common';
import { Database } from '#database';
import { WideLogger } from '#telemetry';
import { IDEMPOTENCY_RETENTION_HOURS } from './idempotency.js';
import { IdempotencyStore } from './idempotency.store.js';

const SWEEP_INTERVAL_MS = 15 * 60 * 1_000;

/** Records deleted by one statement: keeps locks and WAL bursts short. */
const SWEEP_RECORDS_MAX = 5_000;

/**
 * Deletes idempotency records that are past their retention, every quarter of an hour, in each app that has a database. Several
 * processes may do it at once.
 */
@Injectable()
export class IdempotencyRetention implements OnApplicationBootstrap, OnApplicationShutdown {
  private timer: NodeJS.Timeout | undefined;
  private sweeping: Promise<void> | undefined;

  constructor(
    @Optional() @Inject(Database) private readonly database: Database | null,
    private readonly store: IdempotencyStore,
    private readonly logger: WideLogger,
  ) {}

  onApplicationBootstrap(): void {
    if (!this.database) return;
    this.timer = setInterval(() => void this.sweepOnce(), SWEEP_INTERVAL_MS);
    this.timer.unref();
  }

  async onApplicationShutdown(): Promise<void> {
    clearInterval(this.timer);
    await this.sweeping;
  }

  /** Deletes everything that is due; never rejects. A sweep that is running already is joined. */
  sweepOnce(): Promise<void> {
    if (!this.database) return Promise.resolve();
    this.sweeping ??= this.sweep(this.database).finally(() => (this.sweeping = undefined));
    return this.sweeping;
  }

  private async sweep(database: Database): Promise<void> {
    let deleted = 0;
    try {
      for (let batch = SWEEP_RECORDS_MAX; batch === SWEEP_RECORDS_MAX; deleted += batch) {
        batch = await this.store.deleteExpired(IDEMPOTENCY_RETENTION_HOURS, SWEEP_RECORDS_MAX, database);
      }
      if (deleted > 0) this.logger.info('http.idempotency.swept', { deleted });
    } catch (error) {
      this.logger.warn('http.idempotency.sweep_failed', { deleted }, error);
    }
  }
}
