const TIMEOUT_MS_MIN = 60_000;
/** Of a slow case, a request over HTTP, on a busy machine. */
const MS_PER_RUN_MAX = 60;

/**
 * How many random cases a property test tries: `FUZZ_RUNS` of the environment where it is set, for one long run by hand, or the number
 * that keeps the test short.
 */
export function fuzzRuns(runs: number): number {
  const wanted = Number(process.env['FUZZ_RUNS']);
  return Number.isSafeInteger(wanted) && wanted > 0 ? wanted : runs;
}

/** How long such a property test may take, in ms: a minute, or more where it tries more cases. */
export function fuzzTimeoutMs(runs: number): number {
  return Math.max(TIMEOUT_MS_MIN, fuzzRuns(runs) * MS_PER_RUN_MAX);
}
