import { type RetentionPolicy, tableOf } from '#database';
import { KEPT_TABLES } from './kept-tables.js';

const HOURS_PER_DAY = 24;
const DAYS_SHOWN_HOURS_MIN = 72;

/** The policies as a Markdown table, in the order in which they run, with the periods that they have. */
export function renderPolicyTable(policies: readonly RetentionPolicy[]): string {
  const rows = policies.map(({ name, removes, setting, countedFrom, keptHours, steps }) => {
    const tables = [...new Set(steps.map(tableOf))].map((table) => `\`${table}\``).join(', ');
    const way = steps.every(({ kind }) => kind === 'partitions') ? 'partitions' : 'rows';
    return `| \`${name}\` | ${removes} | ${showPeriod(keptHours)} | ${setting === undefined ? 'fixed' : `\`${setting}\``} | ${countedFrom} | ${tables} | ${way} |`;
  });
  return ['| policy | removes | after | setting | counted from | tables | by |', '|---|---|---|---|---|---|---|', ...rows].join('\n');
}

/** The tables without a policy as a Markdown table. */
export function renderKeptTables(): string {
  const rows = Object.entries(KEPT_TABLES).map(([table, reason]) => `| \`${table}\` | ${reason} |`);
  return ['| table | kept |', '|---|---|', ...rows].join('\n');
}

/** Hours as people say them. */
export function showPeriod(hours: number): string {
  return hours >= DAYS_SHOWN_HOURS_MIN && hours % HOURS_PER_DAY === 0 ? `${hours / HOURS_PER_DAY} days` : `${hours} hours`;
}
