/**
 * The running OpenTelemetry SDK as the app sees it. `start-telemetry.ts` runs before the app, by `--import`, and leaves this handle
 * under a global symbol: the two may not share module instances.
 */
export interface TelemetryHandle {
  /** Sends what is buffered and stops the SDK. */
  shutdown(): Promise<void>;
  /** All metrics in Prometheus' text format; absent when OTEL_METRICS_EXPORTER leaves Prometheus out. */
  renderMetrics?(): Promise<string>;
}

const HANDLE = Symbol.for('belfry.telemetry');

type GlobalWithHandle = typeof globalThis & { [HANDLE]?: TelemetryHandle };

/** Called once by `start-telemetry.ts`. */
export function publishTelemetryHandle(handle: TelemetryHandle): void {
  (globalThis as GlobalWithHandle)[HANDLE] = handle;
}

/** Sends buffered spans and metrics and stops the SDK; nothing to do when telemetry is off. */
export async function flushTelemetry(): Promise<void> {
  await (globalThis as GlobalWithHandle)[HANDLE]?.shutdown();
}

/** This process's metrics in Prometheus' text format; `undefined` when they are off. */
export async function renderMetrics(): Promise<string | undefined> {
  return (globalThis as GlobalWithHandle)[HANDLE]?.renderMetrics?.();
}
