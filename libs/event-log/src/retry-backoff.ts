/** Handler calls with the whole batch before its records are tried one by one. */
export const RETRY_ATTEMPTS_MAX = 5;
/** Handler calls with a record alone, after its batch failed, before it becomes a dead letter. */
export const ISOLATED_ATTEMPTS_MAX = 3;
/** Wait after the first failed attempt; doubles with each further one. */
export const RETRY_DELAY_MS_MIN = 200;
/** Longest wait between two attempts. */
export const RETRY_DELAY_MS_MAX = 10_000;
/** Longest wait between two looks at an infrastructure that is down: bounds how late work goes on after it came back. */
export const PAUSE_DELAY_MS_MAX = 3_000;

/**
 * Exponential backoff with jitter: half of the delay is fixed, half is drawn, so that members that failed together do not come back
 * together.
 *
 * @param failures how many attempts have failed, from 1
 * @param random a number from 0 to below 1
 */
export function backoffMs(failures: number, delayMsMax: number, random: () => number): number {
  const full = Math.min(delayMsMax, RETRY_DELAY_MS_MIN * 2 ** Math.min(failures - 1, 30));
  return Math.round(full / 2 + (full / 2) * random());
}
