/** Deepest nesting that is written; JSON from outside may not cost the stack. */
export const CANONICAL_DEPTH_MAX = 32;

/**
 * The canonical JSON text of a value (RFC 8785): no space, members sorted by their UTF-16 code units, numbers and strings as ECMAScript
 * writes them. `undefined` for what has no canonical form: numbers that are not finite, lone surrogates, values that JSON does not know,
 * and deeper nesting than {@link CANONICAL_DEPTH_MAX}.
 *
 * @see RFC 8785 section 3.2
 */
export function canonicalJson(value: unknown): string | undefined {
  try {
    return write(value, 0);
  } catch (error) {
    if (error instanceof NotCanonical) return undefined;
    throw error;
  }
}

class NotCanonical extends Error {}

function write(value: unknown, depth: number): string {
  if (depth > CANONICAL_DEPTH_MAX) throw new NotCanonical();
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'number') return writeNumber(value);
  if (typeof value === 'string') return writeString(value);
  if (Array.isArray(value)) return `[${Array.from(value, (item) => write(item, depth + 1)).join(',')}]`;
  if (typeof value !== 'object') throw new NotCanonical();
  // Array.prototype.sort without a comparator compares UTF-16 code units, as the RFC asks.
  const names = Object.keys(value).sort();
  const members = names.map((name) => `${writeString(name)}:${write((value as Record<string, unknown>)[name], depth + 1)}`);
  return `{${members.join(',')}}`;
}

function writeNumber(value: number): string {
  if (!Number.isFinite(value)) throw new NotCanonical();
  return JSON.stringify(value);
}

function writeString(text: string): string {
  if (/\p{Surrogate}/u.test(text)) throw new NotCanonical();
  return JSON.stringify(text);
}
