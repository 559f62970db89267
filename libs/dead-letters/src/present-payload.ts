import { isForbiddenName, REDACTED } from '#telemetry';
import { redactText } from './redact-text.js';

/** Values of a JSON payload that are shown. */
const PAYLOAD_VALUES_MAX = 2_000;
const PAYLOAD_DEPTH_MAX = 16;
/** Characters of one text that are shown. */
const PAYLOAD_TEXT_CHARACTERS_MAX = 4_000;

/** What stands in place of what is left out. */
const CUT = '…';

/** A record's value as people see it. */
export interface PayloadResource {
  /** `binary`: not even UTF-8, and not shown. */
  readonly format: 'json' | 'text' | 'binary';
  /** The JSON value or the text, with secrets redacted; null for `binary`. */
  readonly content: unknown;
  /** False when a part was left out because of its size. */
  readonly complete: boolean;
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Shows a value that nobody could make sense of, hence may be anything of any size. */
export function presentPayload(value: Buffer): PayloadResource {
  const text = decode(value);
  if (text === undefined) return { format: 'binary', content: null, complete: value.length === 0 };
  const document = parse(text);
  const redaction = new Redaction();
  const content = document === undefined ? redaction.copyText(text) : redaction.copy(document.json, 1);
  return { format: document === undefined ? 'text' : 'json', content, complete: !redaction.wasCut };
}

/** A copy that is safe to show and bounded in size. */
class Redaction {
  wasCut = false;
  private values = 0;

  copy(value: unknown, depth: number): unknown {
    this.values += 1;
    if (typeof value === 'string') return this.copyText(value);
    if (typeof value !== 'object' || value === null) return value;
    if (depth > PAYLOAD_DEPTH_MAX) return this.cut();
    return Array.isArray(value) ? this.copyItems(value, depth) : this.copyMembers(value, depth);
  }

  copyText(text: string): string {
    if (text.length <= PAYLOAD_TEXT_CHARACTERS_MAX) return redactText(text);
    return redactText(text.slice(0, PAYLOAD_TEXT_CHARACTERS_MAX)) + this.cut();
  }

  private copyItems(items: readonly unknown[], depth: number): unknown[] {
    const copies: unknown[] = [];
    for (const item of items) {
      if (this.isFull()) return [...copies, this.cut()];
      copies.push(this.copy(item, depth + 1));
    }
    return copies;
  }

  private copyMembers(record: object, depth: number): object {
    const copies: [string, unknown][] = [];
    for (const [name, value] of Object.entries(record)) {
      if (this.isFull()) return Object.fromEntries([...copies, [CUT, this.cut()]]);
      const mayBeSecret = typeof value === 'string' || typeof value === 'number' || (typeof value === 'object' && value !== null);
      copies.push([this.copyText(name), mayBeSecret && isForbiddenName(name) ? REDACTED : this.copy(value, depth + 1)]);
    }
    return Object.fromEntries(copies);
  }

  private isFull(): boolean {
    return this.values >= PAYLOAD_VALUES_MAX;
  }

  private cut(): string {
    this.wasCut = true;
    return CUT;
  }
}

function decode(value: Buffer): string | undefined {
  try {
    return utf8.decode(value);
  } catch {
    return undefined;
  }
}

function parse(text: string): { readonly json: unknown } | undefined {
  try {
    return { json: JSON.parse(text) as unknown };
  } catch {
    return undefined;
  }
}
