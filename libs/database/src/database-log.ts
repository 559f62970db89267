/** What the database tells its operator; `WideLogger` of #telemetry fits. */
export interface DatabaseLog {
  info(event: string, fields?: Record<string, unknown>): void;
  warn(event: string, fields?: Record<string, unknown>, cause?: unknown): void;
  error(event: string, fields?: Record<string, unknown>, cause?: unknown): void;
}

/** Says nothing: for tools and tests. */
export const SILENT_LOG: DatabaseLog = { info: () => undefined, warn: () => undefined, error: () => undefined };
