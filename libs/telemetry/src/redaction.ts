/** What stands in a log in place of a value that must not be there. */
export const REDACTED = '[redacted]';

/** Levels of nesting that a log event may have; deeper values are cut. */
const DEPTH_MAX = 6;

/** Items of one array or object that a log event may have; the rest is cut. */
const ITEMS_MAX = 100;

/** Characters of one text that a log event may have. */
const TEXT_CHARACTERS_MAX = 4_000;

/**
 * Words of a field's name that mean its value is never logged: credentials, push endpoints, message bodies. A name is compared
 * word by word (`api_token`, `apiToken`, `x-auth` match `token` and `auth`; `authored_at` does not).
 */
const FORBIDDEN_WORDS: ReadonlySet<string> = new Set([
  'authorization',
  'cookie',
  'endpoint',
  'hash',
  'token',
  'secret',
  'p256dh',
  'auth',
  'payload',
  'password',
]);

/** Whole names that are forbidden although none of their words is. */
const FORBIDDEN_NAMES: ReadonlySet<string> = new Set([
  'apikey',
  'privatekey',
  'setcookie',
  'databaseurl',
  'accesskey',
  'secretkey',
  'signingkey',
]);

/** A copy of the fields of a log event, safe to write: forbidden names redacted at every depth, errors unfolded, sizes bounded. */
export function redactFields(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return redactRecord(fields, 0, new Set());
}

/** True when a field of this name is never logged. */
export function isForbiddenName(name: string): boolean {
  const words = name
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z0-9]+/);
  return (
    words.some((word) => FORBIDDEN_WORDS.has(word) || FORBIDDEN_WORDS.has(word.replace(/(es|s)$/, ''))) ||
    FORBIDDEN_NAMES.has(words.join(''))
  );
}

function redactRecord(record: Readonly<Record<string, unknown>>, depth: number, seen: Set<object>): Record<string, unknown> {
  const copy: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(record).slice(0, ITEMS_MAX)) {
    if (value === undefined) continue;
    // Counts, sizes and switches (`payload_bytes`, `token_present`) say nothing secret.
    const mayBeSecret = typeof value === 'string' || (typeof value === 'object' && value !== null);
    copy[name] = mayBeSecret && isForbiddenName(name) ? REDACTED : redactValue(value, depth + 1, seen);
  }
  return copy;
}

function redactValue(value: unknown, depth: number, seen: Set<object>): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'string') return value.length > TEXT_CHARACTERS_MAX ? `${value.slice(0, TEXT_CHARACTERS_MAX)}…` : value;
  if (typeof value === 'symbol' || typeof value === 'function') return String(value);
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'invalid date' : value.toISOString();
  if (value instanceof Uint8Array) return `${value.byteLength} bytes`;
  if (depth > DEPTH_MAX) return '[too deep]';
  if (seen.has(value)) return '[circular]';
  seen.add(value);
  const copy = copyObject(value, depth, seen);
  seen.delete(value);
  return copy;
}

function copyObject(value: object, depth: number, seen: Set<object>): unknown {
  if (value instanceof Error) return describeError(value, depth, seen);
  if (Array.isArray(value)) return value.slice(0, ITEMS_MAX).map((item) => redactValue(item, depth + 1, seen));
  if (value instanceof Map || value instanceof Set) return redactValue([...value], depth, seen);
  return redactRecord(value as Record<string, unknown>, depth, seen);
}

/**
 * An error as a log shows it. Only known members are taken: drivers hang whole statements with their values on errors.
 */
function describeError(error: Error, depth: number, seen: Set<object>): Record<string, unknown> {
  const { code, constraint, table } = error as Error & { code?: unknown; constraint?: unknown; table?: unknown };
  return {
    type: error.name,
    message: redactValue(error.message, depth, seen),
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    ...(typeof constraint === 'string' ? { constraint } : {}),
    ...(typeof table === 'string' ? { table } : {}),
    stack: error.stack,
    ...(error.cause === undefined ? {} : { cause: redactValue(error.cause, depth + 1, seen) }),
    ...(error instanceof AggregateError ? { errors: redactValue(error.errors, depth + 1, seen) } : {}),
  };
}
