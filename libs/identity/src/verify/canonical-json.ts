/** Deepest nesting that is written; JSON from outside may not cost the stack. */
export const CANONICAL_DEPTH_MAX = 32;

/**
 * The canonical JSON text of a value (RFC 8785): no space, members sorted by their UTF-16 code units, numbers and strings as ECMAScript
 * writes them. `undefined` for what has no canonical form: numbers that are not finite, lone surrogates, values that JSON does not know,
 * and deeper nesting than {@link CANONICAL_DEPTH_MAX}; and for a text of more than `lengthMax` characters, which is not written to its end.
 *
 * @see RFC 8785 section 3.2
 */
export function canonicalJson(value: unknown, lengthMax = Number.POSITIVE_INFINITY): string | undefined {
  try {
    const text = new Writer(lengthMax).write(value, 0);
    return text.length > lengthMax ? undefined : text;
  } catch (error) {
    if (error instanceof NotCanonical) return undefined;
    throw error;
  }
}

class NotCanonical extends Error {}

class Writer {
  constructor(private left: number) {}

  write(value: unknown, depth: number): string {
    if (depth > CANONICAL_DEPTH_MAX) throw new NotCanonical();
    if (value === null || typeof value === 'boolean') return this.take(String(value));
    if (typeof value === 'number') return this.take(writeNumber(value));
    if (typeof value === 'string') return this.writeString(value);
    if (Array.isArray(value)) {
      this.spend(value.length);
      return `[${Array.from(value, (item) => this.write(item, depth + 1)).join(',')}]`;
    }
    if (typeof value !== 'object') throw new NotCanonical();
    const names = Object.keys(value);
    this.spend(names.length);
    // Array.prototype.sort without a comparator compares UTF-16 code units, as the RFC asks.
    names.sort();
    const members = names.map((name) => `${this.writeString(name)}:${this.write((value as Record<string, unknown>)[name], depth + 1)}`);
    return `{${members.join(',')}}`;
  }

  private writeString(text: string): string {
    this.spend(text.length);
    if (/\p{Surrogate}/u.test(text)) throw new NotCanonical();
    return JSON.stringify(text);
  }

  private take(text: string): string {
    this.spend(text.length);
    return text;
  }

  /** Counts characters before they are written: at least so many will stand in the text. */
  private spend(characters: number): void {
    this.left -= characters;
    if (this.left < 0) throw new NotCanonical();
  }
}

function writeNumber(value: number): string {
  if (!Number.isFinite(value)) throw new NotCanonical();
  return JSON.stringify(value);
}
