import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { readPromql } from './promql.js';

const DASHBOARDS = 'ops/grafana/dashboards';
const RULES = 'ops/prometheus/rules';

/** An expression of a panel or an alert. */
export interface Watched {
  readonly where: string;
  readonly expression: string;
}

/** An alert rule as it stands in its file. */
export interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

interface Dashboard {
  readonly panels: readonly { readonly title: string; readonly targets?: readonly { readonly expr: string }[] }[];
}

/** Every alert rule that ships. */
export function readAlertRules(): AlertRule[] {
  const files = existsSync(RULES) ? readdirSync(RULES).filter((file) => file.endsWith('.yaml')) : [];
  return files.flatMap((file) => {
    const { groups } = parse(readFileSync(`${RULES}/${file}`, 'utf8')) as { groups: { rules: AlertRule[] }[] };
    return groups.flatMap(({ rules }) => rules);
  });
}

/** Every expression that ships: of all panels and all alerts. */
export function readWatched(): Watched[] {
  const panels = readdirSync(DASHBOARDS).flatMap((file) => {
    const dashboard = JSON.parse(readFileSync(`${DASHBOARDS}/${file}`, 'utf8')) as Dashboard;
    return dashboard.panels.flatMap(({ title, targets = [] }) =>
      targets.map(({ expr }) => ({ where: `panel "${title}"`, expression: expr })),
    );
  });
  return [...panels, ...readAlertRules().map(({ alert, expr }) => ({ where: `alert ${alert}`, expression: expr }))];
}

/** Which metrics and labels all of them together read. `up` is Prometheus' own. */
export function readOperations(): { readonly metrics: readonly string[]; readonly labels: readonly string[] } {
  const readings = readWatched().map(({ expression }) => readPromql(expression));
  const unique = (texts: readonly string[]): string[] => [...new Set(texts)].toSorted();
  return {
    metrics: unique(readings.flatMap(({ metrics }) => metrics)).filter((name) => name !== 'up'),
    labels: unique(readings.flatMap(({ labels }) => labels)),
  };
}
