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
 * Registers a callback that reports a gauge of `METRIC` at each collection. Keep it cheap or cached: a scrape waits for it.
 *
 * @returns a function that removes the callback; the last reported value stays visible.
 */
export function observeMetric(name: NameOfKind<'gauge'>, observe: (result: ObservableResult) => void | Promise<void>): () => void {
  const facts: MetricFacts = METRIC[name];
  const gauge = metrics.getMeter(METER_NAME).createObservableGauge(facts.name, { unit: facts.unit, description: facts.description });
  gauge.addCallback(observe);
  return () => gauge.removeCallback(observe);
}
