/**
 * Starts OpenTelemetry before the app: `node --import ./dist/libs/telemetry/src/start-telemetry.js dist/apps/gateway/src/main.js`.
 *
 * Configured by the standard `OTEL_*` variables only. Without an exporter or an OTLP endpoint nothing is loaded. The hook for ES
 * modules must be registered before any instrumented module is imported, so everything else here is imported dynamically.
 */
import { register } from 'node:module';
import { isTelemetryWanted } from './telemetry-environment.js';

const { readEnvironment } = await import('#config');
const environment = readEnvironment();

if (isTelemetryWanted(environment)) {
  register('@opentelemetry/instrumentation/hook.mjs', import.meta.url);
  const { startSdk } = await import('./telemetry-sdk.js');
  await startSdk(environment, process.argv[1]);
}
