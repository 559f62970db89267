import { createRequire } from 'node:module';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import FastifyOtel from '@fastify/otel';
import { type Span } from '@opentelemetry/api';
import { OTLPMetricExporter as JsonMetricExporter } from '@opentelemetry/exporter-metrics-otlp-http';
import { OTLPMetricExporter as ProtobufMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto';
import { PrometheusExporter, PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import type { Instrumentation } from '@opentelemetry/instrumentation';
import { HttpInstrumentation } from '@opentelemetry/instrumentation-http';
import { PgInstrumentation } from '@opentelemetry/instrumentation-pg';
import { metrics, NodeSDK, resources } from '@opentelemetry/sdk-node';
import type { Environment } from '#config';
import { InboundTraceContext } from './inbound-trace-context.js';
import { observeMetric } from './metrics.js';
import { withUnitsInNames } from './prometheus-names.js';
import { areTracesWanted, chooseMetricsExporters, defaultServiceName, isJsonWanted } from './telemetry-environment.js';
import { publishTelemetryHandle, type TelemetryHandle } from './telemetry-handle.js';

const EXPORT_INTERVAL_MS_DEFAULT = 60_000;
/** Each tick wakes the process: with 20 ms they would be more than a quarter of a percent of a core, for every process at rest. */
const EVENT_LOOP_RESOLUTION_MS = 50;
const NANOSECONDS_PER_SECOND = 1e9;

/** What instrumentations wrap. */
const INSTRUMENTED_MODULES = ['http', 'https', 'pg'];

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
    textMapPropagator: new InboundTraceContext(),
    instrumentations: createInstrumentations(),
  });
  sdk.start();
  loadInstrumented();
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
    ...(exporters.includes('otlp') ? [readerOf(isJsonWanted(env) ? new JsonMetricExporter() : new ProtobufMetricExporter())] : []),
    ...(exporters.includes('console') ? [readerOf(new metrics.ConsoleMetricExporter())] : []),
  ];
}

function createInstrumentations(): Instrumentation[] {
  return [
    new HttpInstrumentation({
      ignoreIncomingRequestHook: (request) => QUIET_PATHS.has(request.url ?? ''),
      requestHook: hideTarget,
      // Calls to push services get spans of our own, which name no endpoint, and take no trace id along.
      disableOutgoingRequestInstrumentation: true,
    }),
    // Statements only appear inside somebody's span: the polling of relays and listeners is not worth one.
    new PgInstrumentation({ requireParentSpan: true }),
    new FastifyOtel.FastifyOtelInstrumentation({
      registerOnInitialization: true,
      instrumentHooks: false,
      instrumentHandler: false,
      ignorePaths: ({ url }) => QUIET_PATHS.has(url),
      requestHook: (span, request) => void span.setAttribute('url.path', request.routeOptions.url ?? '/'),
    }),
  ];
}

/**
 * Loads what the instrumentations wrap, as CommonJS, before the app imports it: they wrap prototypes, which the app shares however it imports
 * the modules. A hook on all imports (`@opentelemetry/instrumentation/hook.mjs`) would do the same for seconds of CPU at every start. Fastify
 * announces itself over a diagnostics channel.
 */
function loadInstrumented(): void {
  const load = createRequire(import.meta.url);
  for (const name of INSTRUMENTED_MODULES) load(name);
}

/** Links of messages carry a receipt in their path, and a query may hold anything: the route (`http.route`) says enough. */
function hideTarget(span: Span): void {
  span.setAttributes({ 'url.path': '/', 'url.query': '' });
}

async function renderPrometheus(exporter: PrometheusExporter): Promise<string> {
  const { resourceMetrics } = await exporter.collect();
  return new PrometheusSerializer(undefined, false, undefined, false, true).serialize(withUnitsInNames(resourceMetrics));
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
