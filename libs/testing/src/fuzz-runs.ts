/**
 * How many random cases a property test tries: `FUZZ_RUNS` of the environment where it is set, for one long run by hand, or the number
 * that keeps the test short.
 */
export function fuzzRuns(runs: number): number {
  const wanted = Number(process.env['FUZZ_RUNS']);
  return Number.isSafeInteger(wanted) && wanted > 0 ? wanted : runs;
}
