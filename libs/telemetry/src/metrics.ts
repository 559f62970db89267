import { type Attributes, type Counter, type Histogram, metrics, type ObservableResult } from '@opentelemetry/api';
import { METRIC, type MetricFacts } from './semconv.js';

const METER_NAME = 'belfry';

type NameOfKind<Kind extends MetricFacts['kind']> = {
  [Name in keyof typeof METRIC]: (typeof METRIC)[Name]['kind'] extends Kind ? Name : never;
}[keyof typeof METRIC];

const counters = new Map<string, Counter>();
const histograms = new Map<string, Histogram>();

/** Adds to a counter of `METRIC`. A no-op when no SDK is registered. */
export function countMetric(name: NameOfKind<'counter'>, amount: number, attributes: Attributes = {}): void {
  const facts: MetricFacts = METRIC[name];
  let counter = counters.get(name);
  if (counter === undefined) {
    counter = metrics.getMeter(METER_NAME).createCounter(facts.name, { unit: facts.unit, description: facts.description });
    counters.set(name, counter);
  }
  counter.add(amount, attributes);
}

/** Records one value of a histogram of `METRIC`, in the metric's unit (durations in seconds). */
export function recordMetric(name: NameOfKind<'histogram'>, value: number, attributes: Attributes = {}): void {
  const facts: MetricFacts = METRIC[name];
  let histogram = histograms.get(name);
  if (histogram === undefined) {
    histogram = metrics.getMeter(METER_NAME).createHistogram(facts.name, {
      unit: facts.unit,
      description: facts.description,
      advice: { explicitBucketBoundaries: [...(facts.bucketBounds ?? [])] },
    });
    histograms.set(name, histogram);
  }
  histogram.record(value, attributes);
}

/**
 * Registers a callback that reports a gauge of `METRIC` at each collection. Keep it cheap or cached: a scrape waits for it. When it fails, as
 * while Postgres is down, its figures are left out and all others are shown.
 *
 * @returns a function that removes the callback; the last reported value stays visible.
 */
export function observeMetric(name: NameOfKind<'gauge'>, observe: (result: ObservableResult) => void | Promise<void>): () => void {
  const facts: MetricFacts = METRIC[name];
  const gauge = metrics.getMeter(METER_NAME).createObservableGauge(facts.name, { unit: facts.unit, description: facts.description });
  const callback = async (result: ObservableResult): Promise<void> => {
    try {
      await observe(result);
    } catch {
      // Missing figures tell as much as there is to tell here; health says what is down.
    }
  };
  gauge.addCallback(callback);
  return () => gauge.removeCallback(callback);
}

/**
 * Keeps the answer of a query for a while, so that several readers of metrics cost it once. A failure is not kept: it goes to whoever asks.
 */
export function cachedFor<Answer>(
  milliseconds: number,
  ask: () => Promise<Answer>,
  nowMs: () => number = () => performance.now(),
): () => Promise<Answer> {
  let cached: { readonly answer: Promise<Answer>; readonly askedAtMs: number } | undefined;
  return () => {
    if (cached !== undefined && nowMs() - cached.askedAtMs < milliseconds) return cached.answer;
    const answer = ask();
    const current = { answer, askedAtMs: nowMs() };
    cached = current;
    answer.catch(() => {
      if (cached === current) cached = undefined;
    });
    return answer;
  };
}
