/**
 * Starts OpenTelemetry before the app: `node --import ./dist/libs/telemetry/src/start-telemetry.js dist/apps/gateway/src/main.js`.
 *
 * Configured by the standard `OTEL_*` variables only. Without an exporter or an OTLP endpoint nothing is loaded: everything here is imported
 * dynamically.
 */
import { isTelemetryWanted } from './telemetry-environment.js';

const { readEnvironment } = await import('#config');
const environment = readEnvironment();

if (isTelemetryWanted(environment)) {
  const { startSdk } = await import('./telemetry-sdk.js');
  await startSdk(environment, process.argv[1]);
}
