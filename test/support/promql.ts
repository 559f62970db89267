import { parser } from '@prometheus-io/lezer-promql';

/** What an expression reads. */
export interface PromqlReading {
  /** Names of the series it selects. */
  readonly metrics: readonly string[];
  /** Labels that it matches, groups or joins by. */
  readonly labels: readonly string[];
  /** Where the grammar does not understand it, as the text around it. */
  readonly faults: readonly string[];
}

/** Reads a PromQL expression with the grammar of Prometheus' own editor. */
export function readPromql(expression: string): PromqlReading {
  const metrics = new Set<string>();
  const labels = new Set<string>();
  const faults: string[] = [];
  parser.parse(expression).iterate({
    enter: ({ name, from, to, type }) => {
      const text = expression.slice(from, to);
      if (type.isError) faults.push(expression.slice(Math.max(0, from - 20), to + 20));
      if (name === 'Identifier') metrics.add(text);
      if (name === 'LabelName') labels.add(text);
    },
  });
  return { metrics: [...metrics], labels: [...labels], faults };
}
