/** Deepest nesting that is written; JSON from outside may not cost the stack. */
const DEPTH_MAX = 32;

/**
 * The OLPC canonical JSON text of a value, as `@tufjs/canonical-json` writes it: members sorted by their UTF-16 code units, in texts only
 * `"` and `\` escaped, so that control characters stand raw, integers as ECMAScript writes them. Not RFC 8785. `undefined` for what has no
 * such form: fractions, values that JSON does not know, and deeper nesting than 32 levels.
 *
 * @see http://wiki.laptop.org/go/Canonical_JSON
 */
export function olpcJson(value: unknown): string | undefined {
  return write(value, 0);
}

function write(value: unknown, depth: number): string | undefined {
  if (depth > DEPTH_MAX) return undefined;
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'number') return Number.isInteger(value) ? JSON.stringify(value) : undefined;
  if (typeof value === 'string') return writeText(value);
  if (Array.isArray(value))
    return join(
      Array.from(value, (item) => write(item, depth + 1)),
      ['[', ']'],
    );
  if (typeof value !== 'object') return undefined;
  const members = Object.keys(value)
    .sort()
    .map((name) => {
      const text = write((value as Record<string, unknown>)[name], depth + 1);
      return text === undefined ? undefined : `${writeText(name)}:${text}`;
    });
  return join(members, ['{', '}']);
}

function writeText(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}

function join(parts: readonly (string | undefined)[], [open, close]: readonly [string, string]): string | undefined {
  return parts.includes(undefined) ? undefined : `${open}${parts.join(',')}${close}`;
}
