import { readFile } from 'node:fs/promises';
import * as campaigns from '#campaigns';
import { BelfryConfig, type ConfigSection, renderConfigurationDoc } from '#config';
import * as config from '#config';
import * as content from '#content';
import { BelfryError, TOPICS } from '#contracts';
import * as deadLetters from '#dead-letters';
import * as database from '#database';
import * as dialects from '#dialects';
import * as engagement from '#engagement';
import * as eventLog from '#event-log';
import * as http from '#http';
import * as identity from '#identity';
import * as inbox from '#inbox';
import * as push from '#push';
import * as retention from '#retention';
import * as segments from '#segments';
import * as subscribers from '#subscribers';
import * as telemetry from '#telemetry';
import * as tenancy from '#tenancy';
import * as webFiles from '#web-files';
import { GatewayModule } from '../../apps/gateway/src/gateway.module.js';
import { prometheusNamesOf } from '../../libs/telemetry/src/prometheus-names.js';

/** Every lib whose configuration and errors are documented, platform first. */
const LIBS: readonly Readonly<Record<string, unknown>>[] = [
  config,
  telemetry,
  database,
  eventLog,
  http,
  tenancy,
  identity,
  subscribers,
  content,
  segments,
  campaigns,
  inbox,
  dialects,
  push,
  engagement,
  deadLetters,
  webFiles,
  retention,
];

/** Path and text of each generated file. `npm run generate` writes them; a test fails while one of them is out of date. */
export async function generateFiles(databaseUrl: string): Promise<ReadonlyMap<string, string>> {
  return new Map([
    ['docs/configuration.md', renderConfigurationDoc(configSections())],
    ['docs/errors.md', http.renderErrorsDoc(errorClasses())],
    ['docs/openapi.json', `${JSON.stringify(await openApiDocument(databaseUrl), null, 2)}\n`],
    ['docs/observability.md', withMetricTable(await readFile('docs/observability.md', 'utf8'))],
    ['ARCHITECTURE.md', withTopicTable(await readFile('ARCHITECTURE.md', 'utf8'))],
    ['docs/retention.md', withRetentionTables(await readFile('docs/retention.md', 'utf8'))],
    ['libs/database/schema.sql', await schemaDump(databaseUrl)],
  ]);
}

/** Every configuration section that a lib exports. */
export function configSections(): ConfigSection[] {
  return LIBS.flatMap((lib) => Object.values(lib)).filter(isSection);
}

/** Every class of expected failures that a lib exports. */
export function errorClasses(): http.ErrorClass[] {
  return LIBS.flatMap((lib) => Object.values(lib)).filter(isErrorClass);
}

function isSection(value: unknown): value is ConfigSection {
  return typeof value === 'object' && value !== null && 'settings' in value && 'name' in value;
}

function isErrorClass(value: unknown): value is http.ErrorClass {
  return typeof value === 'function' && value.prototype instanceof BelfryError && Object.hasOwn(value, 'facts');
}

async function openApiDocument(databaseUrl: string): Promise<object> {
  const env = { DATABASE_URL: databaseUrl, BELFRY_SECRET_KEY: Buffer.alloc(32).toString('base64'), LOG_LEVEL: 'error' };
  const app = await http.createHttpApp(GatewayModule.forRoot(), {
    name: 'gateway',
    config: BelfryConfig.load(GatewayModule.sections, env),
  });
  try {
    return http.buildDocument(app, { title: 'Belfry', version: '1.0.0', description: http.API_DESCRIPTION });
  } finally {
    await app.close();
  }
}

async function schemaDump(databaseUrl: string): Promise<string> {
  const opened = await database.Database.open({ url: databaseUrl });
  try {
    return await database.generateSchemaDump(opened);
  } finally {
    await opened.close();
  }
}

function withTopicTable(text: string): string {
  const rows = TOPICS.map(
    ({ topic, meaning, keyReason, partitions, retentionHours, lane }) =>
      `| \`${topic}\` | ${meaning} | ${keyReason} | ${partitions} | ${retentionHours} h | ${lane} |`,
  );
  const table = ['| topic | who appends, what it says | why its key | partitions | kept | lane |', '|---|---|---|---|---|---|', ...rows];
  return withTable(text, 'topics', table);
}

function withMetricTable(text: string): string {
  const metrics: readonly telemetry.MetricFacts[] = Object.values(telemetry.METRIC);
  const rows = metrics.map((metric) => {
    const labels = metric.labels.map((label) => `\`${label}\``).join(', ');
    const [name = ''] = prometheusNamesOf(metric);
    return `| \`${metric.name}\` | \`${name}\` | ${metric.kind} | ${metric.unit} | ${labels} | ${metric.description} |`;
  });
  return withTable(text, 'metrics', [
    '| metric | in Prometheus | kind | unit | labels | what it says |',
    '|---|---|---|---|---|---|',
    ...rows,
  ]);
}

/** With the periods of an installation that sets none. */
function withRetentionTables(text: string): string {
  const policies = retention.retentionPolicies(BelfryConfig.load(retention.RETENTION_SECTIONS.all, {}), 'all');
  return withTable(withTable(text, 'policies', [retention.renderPolicyTable(policies)]), 'kept', [retention.renderKeptTables()]);
}

/** Puts a table between the two comments that mark its place. */
function withTable(text: string, name: string, table: readonly string[]): string {
  const [start, end] = [`<!-- ${name}: generated -->`, `<!-- ${name}: end -->`];
  const [from, to] = [text.indexOf(start), text.indexOf(end)];
  if (from === -1 || to === -1) throw new Error(`There is no place for the table of ${name}.`);
  return `${text.slice(0, from + start.length)}\n${table.join('\n')}\n${text.slice(to)}`;
}
