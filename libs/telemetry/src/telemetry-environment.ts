import type { Environment } from '#config';

/** Exporters of metrics that can be chosen by OTEL_METRICS_EXPORTER. */
export type MetricsExporter = 'otlp' | 'prometheus' | 'console';

const ENDPOINT_KEYS = ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'OTEL_EXPORTER_OTLP_METRICS_ENDPOINT'];

/** True when some variable says where spans or metrics go; without one OpenTelemetry's own default would be a local collector. */
export function isTelemetryWanted(env: Environment): boolean {
  return env['OTEL_SDK_DISABLED']?.toLowerCase() !== 'true' && (areTracesWanted(env) || chooseMetricsExporters(env).length > 0);
}

/** True when spans have somewhere to go. */
export function areTracesWanted(env: Environment): boolean {
  const exporters = listOf(env['OTEL_TRACES_EXPORTER']);
  return exporters.length === 0 ? hasEndpoint(env) : !exporters.includes('none');
}

/** True when OTLP is to be JSON; the SDK itself follows the same variables for spans. */
export function isJsonWanted(env: Environment): boolean {
  return (env['OTEL_EXPORTER_OTLP_METRICS_PROTOCOL'] ?? env['OTEL_EXPORTER_OTLP_PROTOCOL'])?.trim() === 'http/json';
}

/** Where metrics go. With only an OTLP endpoint they go there and to /metrics. */
export function chooseMetricsExporters(env: Environment): MetricsExporter[] {
  const exporters = listOf(env['OTEL_METRICS_EXPORTER']);
  if (exporters.includes('none')) return [];
  if (exporters.length === 0) return hasEndpoint(env) ? ['otlp', 'prometheus'] : [];
  return exporters.filter((name): name is MetricsExporter => name === 'otlp' || name === 'prometheus' || name === 'console');
}

/**
 * The name of the service: OTEL_SERVICE_NAME or `service.name` of OTEL_RESOURCE_ATTRIBUTES (`undefined` then: the SDK reads them), else
 * `belfry-<app>` by the path of the started file.
 */
export function defaultServiceName(env: Environment, startedFile: string | undefined): string | undefined {
  if (listOf(env['OTEL_SERVICE_NAME']).length > 0 || /(^|,)\s*service\.name=/.test(env['OTEL_RESOURCE_ATTRIBUTES'] ?? '')) return undefined;
  const app = startedFile?.match(/[\\/]apps[\\/]([\w-]+)[\\/]/)?.[1];
  return app === undefined ? 'belfry' : `belfry-${app}`;
}

function hasEndpoint(env: Environment): boolean {
  return ENDPOINT_KEYS.some((key) => listOf(env[key]).length > 0);
}

function listOf(text: string | undefined): string[] {
  return (text ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}
