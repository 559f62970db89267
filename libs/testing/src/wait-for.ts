import { setTimeout as sleep } from 'node:timers/promises';

export interface WaitForOptions {
  /** Said when the time is over: what did not happen. */
  readonly what?: string;
  readonly timeoutMs?: number;
  readonly pollMs?: number;
}

const TIMEOUT_MS = 10_000;
const POLL_MS = 20;

/**
 * Waits until `condition` gives something truthy, and gives that. An error of the condition counts as "not yet", so assertions may
 * stand in it; the last one is the cause when the time is over.
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  { what = 'the condition', timeoutMs = TIMEOUT_MS, pollMs = POLL_MS }: WaitForOptions = {},
): Promise<NonNullable<Exclude<T, false | 0 | ''>>> {
  const deadlineMs = performance.now() + timeoutMs;
  for (let lastError: unknown; ;) {
    try {
      const value = await condition();
      if (value) return value as NonNullable<Exclude<T, false | 0 | ''>>;
      lastError = undefined;
    } catch (error) {
      lastError = error;
    }
    if (performance.now() >= deadlineMs) {
      throw new Error(`Waited ${timeoutMs} ms in vain for ${what}`, lastError === undefined ? undefined : { cause: lastError });
    }
    await sleep(pollMs);
  }
}
