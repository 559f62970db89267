import { describe, expect, it } from 'vitest';
import { prometheusLabelOf, prometheusNamesOf } from './prometheus-names.js';
import { METRIC } from './semconv.js';

describe('prometheusNamesOf', () => {
  it('adds the unit that is measured, and says of counters that they are totals', () => {
    expect(prometheusNamesOf(METRIC.outboxOldestAge)).toEqual(['belfry_outbox_oldest_age_seconds']);
    expect(prometheusNamesOf(METRIC.memoryUsage)).toEqual(['process_memory_usage_bytes']);
    expect(prometheusNamesOf(METRIC.deadLetters)).toEqual(['belfry_dead_letters_total']);
    expect(prometheusNamesOf(METRIC.processDuration)).toEqual([
      'messaging_process_duration_seconds_bucket',
      'messaging_process_duration_seconds_sum',
      'messaging_process_duration_seconds_count',
    ]);
  });

  it('leaves out units that only say what is counted', () => {
    expect(prometheusNamesOf(METRIC.consumerLag)).toEqual(['belfry_event_log_lag']);
  });

  it('gives every metric names of its own', () => {
    const names = Object.values(METRIC).flatMap(prometheusNamesOf);
    expect(new Set(names).size).toBe(names.length);
  });
});

it('writes attributes as labels', () => {
  expect(prometheusLabelOf('belfry.push.vendor')).toBe('belfry_push_vendor');
});
