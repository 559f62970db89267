import { setTimeout as sleep } from 'node:timers/promises';
import { type DatabaseLog } from './database-log.js';
import { DatabaseUnavailableError } from './database.errors.js';

const RETRY_DELAY_MS = 500;

/**
 * Repeats the first thing that a starting process does with Postgres while the server is not there yet.
 * @throws DatabaseUnavailableError when `waitMs` are over; any other failure at once.
 */
export async function untilAvailable<Result>(work: () => Promise<Result>, wait: { waitMs: number; log: DatabaseLog }): Promise<Result> {
  const deadlineMs = performance.now() + wait.waitMs;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof DatabaseUnavailableError) || performance.now() + RETRY_DELAY_MS > deadlineMs) throw error;
      wait.log.warn('database.start.waited', { remaining_ms: Math.round(deadlineMs - performance.now()) }, error);
      await sleep(RETRY_DELAY_MS);
    }
  }
}
