import { metrics } from '@opentelemetry/sdk-node';
import type { MetricFacts } from './semconv.js';

/** Units that Prometheus writes into names; those in braces only say what is counted. */
const UNIT_SUFFIXES: Readonly<Record<string, string>> = { s: 'seconds', ms: 'milliseconds', By: 'bytes' };

/** The collected metrics under the names that an OpenTelemetry collector would give them: with their units, which the exporter leaves out. */
export function withUnitsInNames(collected: metrics.ResourceMetrics): metrics.ResourceMetrics {
  return {
    ...collected,
    scopeMetrics: collected.scopeMetrics.map((scope) => ({
      ...scope,
      metrics: scope.metrics.map((metric) => {
        const { name, unit } = metric.descriptor;
        return { ...metric, descriptor: { ...metric.descriptor, name: withUnit(name, unit), unit: '' } };
      }),
    })),
  };
}

/** The names under which Prometheus has a metric of ours. */
export function prometheusNamesOf({ name, unit, kind }: MetricFacts): readonly string[] {
  const base = withUnit(name, unit).replaceAll('.', '_');
  if (kind === 'counter') return [`${base}_total`];
  return kind === 'histogram' ? [`${base}_bucket`, `${base}_sum`, `${base}_count`] : [base];
}

/** The name of an attribute as a label. */
export function prometheusLabelOf(attribute: string): string {
  return attribute.replaceAll(/[^a-zA-Z0-9_]/g, '_');
}

function withUnit(name: string, unit: string): string {
  const suffix = UNIT_SUFFIXES[unit];
  return suffix === undefined || name.endsWith(suffix) ? name : `${name}.${suffix}`;
}
