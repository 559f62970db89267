import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { METRIC, type MetricFacts } from '#telemetry';
import { prometheusLabelOf, prometheusNamesOf } from '../libs/telemetry/src/prometheus-names.js';
import { readAlertRules, readOperations, readWatched } from './support/operations.js';
import { readPromql } from './support/promql.js';

/** That the metrics are really emitted, the trace test proves with running processes. */

/** Of the instrumentation of HTTP, and of Prometheus itself. */
const FOREIGN_METRICS = ['http_server_request_duration_seconds_bucket', 'http_server_request_duration_seconds_count'];
const FOREIGN_LABELS = ['instance', 'job', 'le', 'http_response_status_code'];
const RUNBOOKS = 'docs/runbooks';

const facts: readonly MetricFacts[] = Object.values(METRIC);
const alerts = readAlertRules();

describe('dashboards and alert rules', () => {
  it('are written in PromQL', () => {
    for (const { where, expression } of readWatched()) expect(readPromql(expression).faults, where).toEqual([]);
    expect(readPromql('sum by (le (rate(x[5m])))').faults.length).toBeGreaterThan(0);
  });

  it('read only metrics and labels that the code declares', () => {
    const names = new Set([...facts.flatMap(prometheusNamesOf), ...FOREIGN_METRICS]);
    const labels = new Set([...facts.flatMap((metric) => metric.labels.map(prometheusLabelOf)), ...FOREIGN_LABELS]);
    const read = readOperations();
    expect(read.metrics.length).toBeGreaterThan(20);
    expect(read.metrics.filter((name) => !names.has(name))).toEqual([]);
    expect(read.labels.filter((label) => !labels.has(label))).toEqual([]);
  });

  it('draw every metric that is declared', () => {
    const read = readOperations().metrics;
    expect(facts.filter((metric) => !prometheusNamesOf(metric).some((name) => read.includes(name))).map(({ name }) => name)).toEqual([]);
  });

  it('name the labels of a metric as it has them', () => {
    for (const { where, expression } of readWatched()) {
      const { metrics, labels } = readPromql(expression);
      const own = facts.filter((metric) => prometheusNamesOf(metric).some((name) => metrics.includes(name)));
      const known = new Set([...own.flatMap((metric) => metric.labels.map(prometheusLabelOf)), ...FOREIGN_LABELS]);
      expect(
        labels.filter((label) => !known.has(label)),
        where,
      ).toEqual([]);
    }
  });
});

describe('alert rules', () => {
  it('have a name of their own, a wait, a severity and a summary each', () => {
    expect(alerts.length).toBeGreaterThan(0);
    expect(new Set(alerts.map(({ alert }) => alert)).size).toBe(alerts.length);
    for (const { alert, for: wait, labels, annotations } of alerts) {
      expect(alert).toMatch(/^Belfry[A-Z]\w+$/);
      expect(wait, alert).toMatch(/^\d+m$/);
      expect(labels?.['severity'], alert).toMatch(/^(critical|warning)$/);
      expect(annotations?.['summary']?.length, alert).toBeGreaterThan(10);
    }
  });

  it('speak only of labels that their expressions keep', () => {
    for (const { alert, expr, annotations } of alerts) {
      const spoken = [...(annotations?.['summary'] ?? '').matchAll(/\$labels\.(\w+)/g)].map((match) => match[1] ?? '');
      const kept = [...readPromql(expr).labels, ...(expr.startsWith('up{') ? ['instance'] : [])];
      expect(
        spoken.filter((label) => !kept.includes(label)),
        alert,
      ).toEqual([]);
    }
  });

  it('lead to a page that explains them, and each page belongs to an alert', () => {
    const pages = alerts.map(({ alert, annotations }) => ({ alert, page: annotations?.['runbook_url'] ?? '' }));
    for (const { alert, page } of pages) {
      expect(existsSync(page), `${alert}: ${page}`).toBe(true);
      const text = readFileSync(page, 'utf8');
      expect(text.split('\n')[0], page).toContain(alert);
      for (const part of ['**Means.**', '**Look first**', '**Do.**']) expect(text, page).toContain(part);
    }
    const linked = new Set(pages.map(({ page }) => page));
    expect(readdirSync(RUNBOOKS).filter((file) => !linked.has(`${RUNBOOKS}/${file}`))).toEqual([]);
  });

  it('are mounted where Prometheus looks for them', () => {
    const { rule_files: files } = parse(readFileSync('ops/prometheus/prometheus.yaml', 'utf8')) as { rule_files: string[] };
    const { services } = parse(readFileSync('docker-compose.yml', 'utf8'), { merge: true }) as {
      services: { prometheus: { volumes: string[] } };
    };
    const mounts = services.prometheus.volumes.map((volume) => volume.split(':'));
    const [, folder] = mounts.find(([source]) => source === './ops/prometheus/rules') ?? [];
    expect(files).toContain(`${folder}/*.yaml`);
  });
});
