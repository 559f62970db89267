import { z } from 'zod';

/** How long a message may wait for its delivery when the caller does not say: 28 days, the longest that push services keep one. */
export const TTL_SECONDS_DEFAULT = 28 * 86_400;

/** The longest time to live: 90 days. */
export const TTL_SECONDS_MAX = 90 * 86_400;

/** A time to live as the API takes it. */
export const ttlSecondsSchema = z
  .int()
  .min(1)
  .max(TTL_SECONDS_MAX)
  .describe('Seconds from the trigger after which nothing is delivered any more; the rest counts as expired');

/** The instant at which a time to live is over. */
export function expiresAfter(now: Date, ttlSeconds: number): Date {
  return new Date(now.getTime() + ttlSeconds * 1_000);
}
