import { PROOF_AGE_SECONDS_MAX, PROOF_SKEW_SECONDS } from './proof.js';

/** Eleven digits of seconds end in the year 5138; milliseconds of today have thirteen. */
export const TIMESTAMP_SECONDS_MAX = 99_999_999_999;
const DECIMAL_PATTERN = /^(?:0|[1-9]\d{0,15})$/;

/** A time as it was sent: absent, in whole seconds, or with what is wrong with it. */
export type ParsedTimestamp = { readonly seconds?: number } | { readonly fault: string };

/**
 * Reads Unix seconds from a number or from its decimal text. Texts have one spelling (no sign, no leading zero, no space), because the
 * MAC covers exactly those characters.
 */
export function parseTimestamp(timestamp: unknown): ParsedTimestamp {
  if (isAbsentTime(timestamp)) return {};
  const seconds = typeof timestamp === 'string' && DECIMAL_PATTERN.test(timestamp) ? Number(timestamp) : timestamp;
  if (typeof seconds !== 'number' || !Number.isSafeInteger(seconds)) return { fault: 'The timestamp must be Unix time in whole seconds.' };
  if (seconds < 0) return { fault: 'The timestamp is negative; it must be Unix time in whole seconds.' };
  if (seconds > TIMESTAMP_SECONDS_MAX) return { fault: 'The timestamp looks like milliseconds; divide it by 1000 and drop the fraction.' };
  return { seconds };
}

/** True where no time was sent. */
export function isAbsentTime(timestamp: unknown): boolean {
  return timestamp === undefined || timestamp === null || timestamp === '';
}

/** Where a time lies: `now` is at most 300 s behind and 60 s ahead of us, seconds compared. */
export function placeInTime(seconds: number, nowSeconds: number): 'expired' | 'now' | 'not_yet_valid' {
  if (nowSeconds - seconds > PROOF_AGE_SECONDS_MAX) return 'expired';
  return seconds - nowSeconds > PROOF_SKEW_SECONDS ? 'not_yet_valid' : 'now';
}
