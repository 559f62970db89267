import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { METRIC, type MetricFacts } from '#telemetry';

interface Dashboard {
  readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[];
}

const UNIT_SUFFIX: Readonly<Record<string, string>> = { s: '_seconds', By: '_bytes' };

/** The names under which Prometheus shows a metric of ours. */
function prometheusNames({ name, kind, unit }: MetricFacts): string[] {
  const base = `${name.replaceAll('.', '_')}${UNIT_SUFFIX[unit] ?? ''}`;
  if (kind === 'counter') return [`${base}_total`];
  return kind === 'histogram' ? [`${base}_bucket`, `${base}_sum`, `${base}_count`] : [base];
}

describe('dashboards', () => {
  it('show only metrics that the code declares', () => {
    const known = new Set(Object.values(METRIC as Record<string, MetricFacts>).flatMap(prometheusNames));
    const dashboard = JSON.parse(readFileSync('ops/grafana/dashboards/belfry.json', 'utf8')) as Dashboard;
    for (const { title, targets } of dashboard.panels) {
      for (const { expr } of targets) {
        const named = expr.match(/\b(belfry|nodejs|process|messaging)_\w+/g) ?? [];
        expect(named.length, title).toBeGreaterThan(0);
        expect(
          named.filter((name) => !known.has(name)),
          title,
        ).toEqual([]);
      }
    }
  });
});
