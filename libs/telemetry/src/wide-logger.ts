import { destination, type DestinationStream, type Logger, pino, stdTimeFunctions } from 'pino';
import { PrettyStream } from './pretty-stream.js';
import { redactFields } from './redaction.js';
import { LOG_LEVELS } from './telemetry.config.js';
import { activeTraceIds } from './tracing.js';

/** Fields of one log event: ids, counts, `…_ms`. Secrets, endpoints and payloads are redacted by name, but do not belong here at all. */
export type LogFields = Readonly<Record<string, unknown>>;

/** How a logger is made. */
export interface WideLoggerOptions {
  /** Name of the app, shown as `service`. */
  readonly service: string;
  readonly level: (typeof LOG_LEVELS)[number];
  readonly format: 'auto' | 'json' | 'pretty';
  /** Where lines go instead of standard output. */
  readonly destination?: DestinationStream;
}

/**
 * Writes one wide event per unit of work: a dotted name in the past tense (`push.batch.delivered`) and its fields. The ids of the
 * active trace are mixed in. `error` means that a person must act.
 */
export class WideLogger {
  constructor(private readonly sink: Logger) {}

  debug(event: string, fields: LogFields = {}): void {
    if (this.sink.isLevelEnabled('debug')) this.sink.debug(redactFields(fields), event);
  }

  info(event: string, fields: LogFields = {}): void {
    if (this.sink.isLevelEnabled('info')) this.sink.info(redactFields(fields), event);
  }

  warn(event: string, fields: LogFields = {}, cause?: unknown): void {
    if (this.sink.isLevelEnabled('warn')) this.sink.warn(redactFields(withCause(fields, cause)), event);
  }

  error(event: string, fields: LogFields = {}, cause?: unknown): void {
    if (this.sink.isLevelEnabled('error')) this.sink.error(redactFields(withCause(fields, cause)), event);
  }
}

/** Makes the logger of a process: JSON lines, or readable lines on a terminal. Writes synchronously, so that a crash loses nothing. */
export function createWideLogger(options: WideLoggerOptions): WideLogger {
  const stdout = options.destination ?? destination({ dest: 1, sync: true });
  const pretty = options.format === 'pretty' || (options.format === 'auto' && options.destination === undefined && process.stdout.isTTY);
  const sink = pino(
    {
      level: options.level,
      base: { service: options.service },
      messageKey: 'event',
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      mixin: () => activeTraceIds() ?? {},
    },
    pretty ? new PrettyStream(stdout) : stdout,
  );
  return new WideLogger(sink);
}

/** A logger that writes nothing, for tests. */
export function silentLogger(): WideLogger {
  return new WideLogger(pino({ level: 'silent' }));
}

function withCause(fields: LogFields, cause: unknown): LogFields {
  return cause === undefined ? fields : { ...fields, error: cause };
}
