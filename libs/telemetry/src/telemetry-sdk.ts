import type { ClientRequest, IncomingMessage } from 'node:http';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import FastifyOtel from '@fastify/otel';
import { type Span } from '@opentelemetry/api';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto';
import { PrometheusExporter, PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import type { Instrumentation } from '@opentelemetry/instrumentation';
import { HttpInstrumentation } from '@opentelemetry/instrumentation-http';
import { PgInstrumentation } from '@opentelemetry/instrumentation-pg';
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici';
import { metrics, NodeSDK, resources } from '@opentelemetry/sdk-node';
import type { Environment } from '#config';
import { observeMetric } from './metrics.js';
import { areTracesWanted, chooseMetricsExporters, defaultServiceName } from './telemetry-environment.js';
import { publishTelemetryHandle, type TelemetryHandle } from './telemetry-handle.js';

const EXPORT_INTERVAL_MS_DEFAULT = 60_000;
const EVENT_LOOP_RESOLUTION_MS = 20;
const NANOSECONDS_PER_SECOND = 1e9;

/** Paths that machines ask every few seconds: no spans for them. */
const QUIET_PATHS: ReadonlySet<string> = new Set(['/health/live', '/health/ready', '/metrics']);

/** Starts the SDK with Belfry's instrumentations and publishes the handle that the app flushes and scrapes it by. */
export async function startSdk(env: Environment, startedFile: string | undefined): Promise<TelemetryHandle> {
  const exporters = chooseMetricsExporters(env);
  const prometheus = exporters.includes('prometheus') ? new PrometheusExporter({ preventServerStart: true }) : undefined;
  const serviceName = defaultServiceName(env, startedFile);
  const sdk = new NodeSDK({
    ...(serviceName === undefined ? {} : { serviceName }),
    ...(areTracesWanted(env) ? {} : { spanProcessors: [] }),
    // Logs are pino's; the SDK would look for a collector for them.
    logRecordProcessors: [],
    metricReaders: [...(prometheus === undefined ? [] : [prometheus]), ...pushReaders(env, exporters)],
    // Without the process detector: command lines may hold secrets.
    resourceDetectors: [resources.envDetector, resources.hostDetector, resources.serviceInstanceIdDetector],
    instrumentations: createInstrumentations(),
  });
  sdk.start();
  observeProcess();
  const handle: TelemetryHandle = {
    shutdown: () => sdk.shutdown(),
    ...(prometheus === undefined ? {} : { renderMetrics: () => renderPrometheus(prometheus) }),
  };
  publishTelemetryHandle(handle);
  return handle;
}

function pushReaders(env: Environment, exporters: readonly string[]): metrics.MetricReader[] {
  const interval = Number(env['OTEL_METRIC_EXPORT_INTERVAL']);
  const exportIntervalMillis = Number.isFinite(interval) && interval > 0 ? interval : EXPORT_INTERVAL_MS_DEFAULT;
  const exportTimeoutMillis = Math.min(exportIntervalMillis, 30_000);
  const readerOf = (exporter: metrics.PushMetricExporter) =>
    new metrics.PeriodicExportingMetricReader({ exporter, exportIntervalMillis, exportTimeoutMillis });
  return [
    ...(exporters.includes('otlp') ? [readerOf(new OTLPMetricExporter())] : []),
    ...(exporters.includes('console') ? [readerOf(new metrics.ConsoleMetricExporter())] : []),
  ];
}

function createInstrumentations(): Instrumentation[] {
  return [
    new HttpInstrumentation({
      ignoreIncomingRequestHook: (request) => QUIET_PATHS.has(request.url ?? ''),
      requestHook: hideSecrets,
    }),
    // Statements only appear inside somebody's span: the polling of relays and listeners is not worth one.
    new PgInstrumentation({ requireParentSpan: true }),
    new UndiciInstrumentation({ requestHook: (span, request) => showOriginOnly(span, request.origin) }),
    new FastifyOtel.FastifyOtelInstrumentation({
      registerOnInitialization: true,
      instrumentHooks: false,
      instrumentHandler: false,
      ignorePaths: ({ url }) => QUIET_PATHS.has(url),
      requestHook: (span, request) => void span.setAttribute('url.path', request.url.split('?', 1)[0] ?? ''),
    }),
  ];
}

/**
 * Push endpoints and webhook URLs are secrets, and so may be a query: spans of outgoing requests name the origin only, spans of incoming
 * ones no query.
 */
function hideSecrets(span: Span, request: ClientRequest | IncomingMessage): void {
  if ('getHeader' in request) showOriginOnly(span, `${request.protocol}//${request.host}`);
  else span.setAttribute('url.query', '');
}

function showOriginOnly(span: Span, origin: string): void {
  span.setAttributes({ 'url.full': origin, 'url.path': '/', 'url.query': '' });
}

async function renderPrometheus(exporter: PrometheusExporter): Promise<string> {
  const { resourceMetrics, errors } = await exporter.collect();
  if (errors.length > 0) throw new AggregateError(errors, 'Some metrics could not be collected.');
  return new PrometheusSerializer().serialize(resourceMetrics);
}

function observeProcess(): void {
  const delay = monitorEventLoopDelay({ resolution: EVENT_LOOP_RESOLUTION_MS });
  delay.enable();
  observeMetric('eventLoopDelay', (result) => {
    // The histogram holds the time between two ticks of its timer, of which the resolution is no delay.
    const tickSeconds = delay.percentile(99) / NANOSECONDS_PER_SECOND;
    result.observe(Math.max(0, tickSeconds - EVENT_LOOP_RESOLUTION_MS / 1_000));
    delay.reset();
  });
  observeMetric('memoryUsage', (result) => result.observe(process.memoryUsage.rss()));
}
