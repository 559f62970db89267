const FIRST_MS_MAX = 1_000;
const DELAY_MS_MAX = 30_000;

/**
 * How long to wait after so many failures in a row: drawn at random below a bound that doubles each time, so that the tabs of a whole
 * city do not return at the same instant.
 *
 * @param failures from 1
 * @param random gives numbers in [0, 1)
 */
export function backoffMs(failures: number, random: () => number = Math.random): number {
  const bound = Math.min(FIRST_MS_MAX * 2 ** Math.min(failures - 1, 10), DELAY_MS_MAX);
  return Math.round(bound * (0.2 + 0.8 * random()));
}
