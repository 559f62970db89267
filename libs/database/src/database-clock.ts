import { Clock } from '#contracts';
import type { Database } from './database.js';
import { type DatabaseLog, SILENT_LOG } from './database-log.js';

const SYNC_INTERVAL_MS = 10_000;
/** A slower answer says too little about the moment in which Postgres looked at its clock. */
const SYNC_ROUND_TRIP_MS_MAX = 1_000;
/** A first look this quick says enough. A slower one is repeated: who waits for a busy machine learns the time of long ago. */
const PRECISE_ROUND_TRIP_MS = 20;
const FIRST_LOOKS_MAX = 5;
/** Told once per synchronisation: operators should mend the machine's clock. */
const DRIFT_MS_MAX = 2_000;

/** A moment by both clocks. */
interface Anchor {
  readonly databaseMs: number;
  /** Of the monotonic clock, which nobody sets. */
  readonly atMs: number;
  /** The look is wrong by at most half of it. */
  readonly roundTripMs: number;
}

/**
 * The time of Postgres: the one clock that all processes share. Leases, due times and expiries are compared between processes, so a
 * process whose machine is an hour ahead must not take over what others are sending, or let expire what has an hour to live.
 *
 * Between two looks at Postgres the monotonic clock counts on; a machine whose own time is set notices nothing. Until the first answer,
 * and only then, the machine's time is used.
 */
export class DatabaseClock extends Clock {
  private anchor: Anchor | undefined;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly database: Pick<Database, 'query'>,
    private readonly log: DatabaseLog = SILENT_LOG,
  ) {
    super();
  }

  /** Takes the first look, again until one was quick, and goes on looking until `stop`. A Postgres that does not answer is asked again later. */
  async start(): Promise<void> {
    this.timer = setInterval(() => void this.synchronise(), SYNC_INTERVAL_MS).unref();
    await this.synchronise();
    for (let looks = 1; looks < FIRST_LOOKS_MAX && this.isRough(); looks += 1) await this.synchronise();
  }

  now(): Date {
    if (this.anchor === undefined) return new Date();
    return new Date(Math.floor(this.anchor.databaseMs + performance.now() - this.anchor.atMs));
  }

  /** Looks at Postgres' clock. Never throws: without an answer the last look stands. */
  async synchronise(): Promise<void> {
    const askedMs = performance.now();
    try {
      const [row] = await this.database.query<{ ms: number }>({
        name: 'database.read-clock',
        text: 'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS ms',
      });
      const answeredMs = performance.now();
      const roundTripMs = answeredMs - askedMs;
      if (row === undefined || roundTripMs > this.roundTripMsMax(answeredMs)) return;
      this.anchor = { databaseMs: row.ms, atMs: (askedMs + answeredMs) / 2, roundTripMs };
      const aheadMs = Math.round(Date.now() - this.now().getTime());
      if (Math.abs(aheadMs) > DRIFT_MS_MAX) this.log.warn('database.clock.differed', { ahead_ms: aheadMs });
    } catch (error) {
      this.log.warn('database.clock.unread', {}, error);
    }
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private isRough(): boolean {
    return this.anchor !== undefined && this.anchor.roundTripMs > PRECISE_ROUND_TRIP_MS;
  }

  /** What a look may take: the first one anything, one right after another less than that one did. */
  private roundTripMsMax(nowMs: number): number {
    if (this.anchor === undefined) return Infinity;
    return nowMs - this.anchor.atMs < SYNC_INTERVAL_MS / 2 ? this.anchor.roundTripMs : SYNC_ROUND_TRIP_MS_MAX;
  }
}
