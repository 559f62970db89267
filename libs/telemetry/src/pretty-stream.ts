import type { DestinationStream } from 'pino';
import picocolors from 'picocolors';

/** Fields that every line carries and that a person at a terminal does not need. */
const HIDDEN_FIELDS: ReadonlySet<string> = new Set(['level', 'time', 'event', 'service', 'error', 'trace_id', 'span_id']);

/** Turns JSON log lines into `10:15:02.123 INFO  http.request.served status=200`, for terminals. */
export class PrettyStream implements DestinationStream {
  constructor(private readonly target: DestinationStream) {}

  write(line: string): void {
    this.target.write(formatLogLine(line));
  }
}

/** One readable line per event, followed by the stack of its error; a line that is not JSON is passed on as it is. */
export function formatLogLine(line: string): string {
  const record = parseRecord(line);
  if (record === undefined) return line;
  const time = String(record['time']).slice(11, 23);
  const fields = Object.entries(record)
    .filter(([name]) => !HIDDEN_FIELDS.has(name))
    .map(
      ([name, value]) =>
        `${picocolors.dim(`${name}=`)}${typeof value === 'string' ? quoted(value) : escapeControls(JSON.stringify(value))}`,
    );
  const head = [picocolors.dim(time), levelLabel(String(record['level'])), picocolors.bold(String(record['event'])), ...fields].join(' ');
  return `${head}\n${formatError(record['error'])}`;
}

function parseRecord(line: string): Record<string, unknown> | undefined {
  try {
    const record: unknown = JSON.parse(line);
    return typeof record === 'object' && record !== null ? (record as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function levelLabel(level: string): string {
  const label = level.toUpperCase().padEnd(5);
  if (level === 'error' || level === 'fatal') return picocolors.red(label);
  if (level === 'warn') return picocolors.yellow(label);
  return level === 'info' ? picocolors.green(label) : picocolors.dim(label);
}

function quoted(text: string): string {
  return /^[\w.:/@+-]+$/.test(text) ? text : escapeControls(JSON.stringify(text));
}

/** Control characters are escaped, so that a logged text cannot forge lines or move the cursor. */
function escapeControls(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function formatError(error: unknown, indent = '  '): string {
  if (typeof error !== 'object' || error === null) return '';
  const { stack, message, cause } = error as { stack?: unknown; message?: unknown; cause?: unknown };
  const text = typeof stack === 'string' ? stack : String(message);
  const lines = text.split('\n').map((line) => `${indent}${picocolors.dim(escapeControls(line))}\n`);
  return lines.join('') + (cause === undefined ? '' : `${indent}caused by\n${formatError(cause, `${indent}  `)}`);
}
