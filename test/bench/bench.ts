/** How a bench is run. */
export interface BenchOptions {
  /** Rounds of each measurement, interleaved with the baseline; the median counts. */
  readonly rounds: number;
  /** Says what is going on; never part of the report. */
  readonly note: (text: string) => void;
}

/** One measured figure beside its baseline. */
export interface BenchResult {
  readonly metric: string;
  readonly value: number;
  readonly unit: string;
  /** The baseline's value in the same unit, measured in the same rounds; `null` where there is none. */
  readonly baseline: number | null;
  /** Median over the rounds of value / baseline; `null` without a baseline. */
  readonly ratio: number | null;
  /** What the ratio (or the value, without a baseline) has to reach; `null` where the figure is only shown. */
  readonly target: number | null;
  readonly ok: boolean;
}

/** What a bench prints as its last line. `ok` says that each target was reached; a bench throws only where it could not run. */
export interface BenchReport {
  readonly bench: string;
  readonly ok: boolean;
  readonly results: readonly BenchResult[];
}

/** What a `*.bench.ts` file exports. */
export interface Bench {
  readonly name: string;
  readonly run: (options: BenchOptions) => Promise<BenchReport>;
}

/** Rounds where nobody says otherwise. */
export const BENCH_ROUNDS_DEFAULT = 5;

/** The middle value; of an even number the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle) - 1] ?? Number.NaN) + (sorted[Math.floor(middle)] ?? Number.NaN)) / 2;
}

/** The figure of a series of rounds against a baseline series of the same rounds: higher is better. */
export function compareRounds(
  facts: { metric: string; unit: string; target: number | null },
  values: readonly number[],
  baselines: readonly number[],
): BenchResult {
  const ratio = median(values.map((value, round) => value / (baselines[round] ?? Number.NaN)));
  return {
    ...facts,
    value: Math.round(median(values)),
    baseline: Math.round(median(baselines)),
    ratio: Math.round(ratio * 1000) / 1000,
    ok: facts.target === null || ratio >= facts.target,
  };
}

/** A figure that has to reach its target. */
export function atLeast(metric: string, unit: string, value: number, target: number | null): BenchResult {
  return { metric, unit, value: rounded(value), baseline: null, ratio: null, target, ok: target === null || value >= target };
}

/** A figure that must not pass its target. */
export function atMost(metric: string, unit: string, value: number, target: number | null): BenchResult {
  return { metric, unit, value: rounded(value), baseline: null, ratio: null, target, ok: target === null || value <= target };
}

/** Three decimals say all that a median of a few rounds knows. */
function rounded(value: number): number {
  return Number(value.toFixed(3));
}

/** The report over all results. */
export function toReport(bench: string, results: readonly BenchResult[]): BenchReport {
  return { bench, ok: results.every((result) => result.ok), results };
}
