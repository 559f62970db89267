/** What the text that a process shows at /metrics holds, as far as it is checked: series by name, each with its labels. */
export interface PrometheusSeries {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const SERIES = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;

/**
 * Reads Prometheus' text format.
 * @throws on a line that is neither a comment nor a series
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
 */
export function readPrometheusText(text: string): PrometheusSeries[] {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return lines.map((line) => {
    const [, name, labels = '', value] = SERIES.exec(line) ?? [];
    if (name === undefined) throw new Error(`This is no series: ${line}`);
    return { name, labels: Object.fromEntries([...labels.matchAll(LABEL)].map((match) => [match[1], match[2]])), value: Number(value) };
  });
}
