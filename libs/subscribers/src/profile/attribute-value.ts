import { isStorableText } from '#http';
import { ATTRIBUTE_LIST_ITEMS_MAX, ATTRIBUTE_TEXT_BYTES_MAX } from '../subscribers.limits.js';
import { canonicalDate } from './canonical-date.js';

/** Types an attribute can be declared with. An undeclared attribute keeps the JSON type it was given. */
export const ATTRIBUTE_TYPES = ['string', 'number', 'boolean', 'date', 'list'] as const;

export type AttributeType = (typeof ATTRIBUTE_TYPES)[number];

/** One stored value. Dates are kept as texts: `2026-05-31`, or `2026-05-31T10:00:00.000Z` in UTC. Nothing nests. */
export type AttributeValue = string | number | boolean | readonly string[];

/** All attributes of a subscriber by name. An absent attribute has no key: `null` is never stored. */
export type Attributes = Readonly<Record<string, AttributeValue>>;

/** Why a value was refused. */
export type AttributeFaultCode = 'attribute_type_mismatch' | 'attribute_value_invalid' | 'attribute_value_too_large';

/** The value to keep, or why there is none. */
export type ValueOutcome =
  | { readonly ok: true; readonly value: AttributeValue }
  | { readonly ok: false; readonly code: AttributeFaultCode; readonly message: string };

const NUMBER_TEXT = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const TRUE_TEXTS = new Set(['true', 'yes', '1']);
const FALSE_TEXTS = new Set(['false', 'no', '0']);

/**
 * Turns a JSON value into what is kept. A declared type coerces where nothing can be lost or guessed wrong: `"30"` to 30 for a number,
 * 30 to `"30"` for a string, `"yes"` to true for a boolean, a date to its canonical text. Without a declared type the value keeps its JSON
 * type. Objects, nested lists and items that are no strings are always refused.
 */
export function toAttributeValue(input: unknown, type: AttributeType | undefined): ValueOutcome {
  if (typeof input === 'object' && input !== null && !Array.isArray(input)) {
    return refused('attribute_value_invalid', 'must be a string, a number, a boolean or a list of strings: objects are not kept');
  }
  const outcome = type === undefined ? keep(input) : coerce(input, type);
  return outcome.ok ? checkSize(outcome.value) : outcome;
}

/** Reads a decimal number; `undefined` when the text is none or is out of range. */
export function parseNumber(text: string): number | undefined {
  if (!NUMBER_TEXT.test(text)) return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? value : undefined;
}

/** Reads true/false, yes/no and 1/0 in any case; `undefined` for everything else. */
export function parseBoolean(text: string): boolean | undefined {
  const folded = text.toLowerCase();
  if (TRUE_TEXTS.has(folded)) return true;
  return FALSE_TEXTS.has(folded) ? false : undefined;
}

function keep(input: unknown): ValueOutcome {
  if (typeof input === 'string' || typeof input === 'boolean') return accepted(input);
  if (typeof input === 'number') return keepNumber(input);
  return Array.isArray(input) ? keepList(input) : refused('attribute_value_invalid', 'must be a string, a number, a boolean or a list');
}

function coerce(input: unknown, type: AttributeType): ValueOutcome {
  switch (type) {
    case 'string':
      return typeof input === 'string' || typeof input === 'boolean' || typeof input === 'number'
        ? accepted(String(input))
        : mismatch(type, input);
    case 'number':
      return coerceNumber(input);
    case 'boolean':
      return coerceBoolean(input);
    case 'date': {
      const date = typeof input === 'string' ? canonicalDate(input) : undefined;
      return date === undefined ? mismatch(type, input) : accepted(date);
    }
    case 'list':
      return Array.isArray(input) ? keepList(input) : mismatch(type, input);
  }
}

function coerceNumber(input: unknown): ValueOutcome {
  if (typeof input === 'number') return keepNumber(input);
  const value = typeof input === 'string' ? parseNumber(input) : undefined;
  return value === undefined ? mismatch('number', input) : keepNumber(value);
}

function coerceBoolean(input: unknown): ValueOutcome {
  if (typeof input === 'boolean') return accepted(input);
  const value = typeof input === 'string' || typeof input === 'number' ? parseBoolean(String(input)) : undefined;
  return value === undefined ? mismatch('boolean', input) : accepted(value);
}

/** JSON has no negative zero: it becomes 0, as it would on the way through Postgres. */
function keepNumber(value: number): ValueOutcome {
  return Number.isFinite(value) ? accepted(value === 0 ? 0 : value) : refused('attribute_value_invalid', 'is out of range for a number');
}

function keepList(input: readonly unknown[]): ValueOutcome {
  return input.every((item): item is string => typeof item === 'string')
    ? accepted(input)
    : refused('attribute_value_invalid', 'must be a list of strings: other items are not kept');
}

function checkSize(value: AttributeValue): ValueOutcome {
  if (Array.isArray(value) && value.length > ATTRIBUTE_LIST_ITEMS_MAX) {
    return refused('attribute_value_too_large', `must not have more than ${ATTRIBUTE_LIST_ITEMS_MAX} items`);
  }
  for (const text of typeof value === 'string' ? [value] : Array.isArray(value) ? value : []) {
    if (!isStorableText(text)) {
      return refused('attribute_value_invalid', 'must not contain NUL characters or lone surrogates');
    }
    // A UTF-16 code unit is at most three bytes: short texts need no count.
    if (text.length * 3 > ATTRIBUTE_TEXT_BYTES_MAX && Buffer.byteLength(text, 'utf8') > ATTRIBUTE_TEXT_BYTES_MAX) {
      return refused('attribute_value_too_large', `must not have a text longer than ${ATTRIBUTE_TEXT_BYTES_MAX} bytes in UTF-8`);
    }
  }
  return accepted(value);
}

function mismatch(type: AttributeType, input: unknown): ValueOutcome {
  const expected: Record<AttributeType, string> = {
    string: 'must be a string',
    number: 'must be a number',
    boolean: 'must be a boolean',
    date: 'must be an ISO 8601 date (2026-05-31) or timestamp (2026-05-31T10:00:00Z)',
    list: 'must be a list of strings',
  };
  return refused('attribute_type_mismatch', `${expected[type]}, got ${describe(input)}`);
}

function describe(input: unknown): string {
  if (Array.isArray(input)) return 'a list';
  return typeof input === 'string' ? JSON.stringify(input.length > 40 ? `${input.slice(0, 40)}…` : input) : String(input);
}

function accepted(value: AttributeValue): ValueOutcome {
  return { ok: true, value };
}

function refused(code: AttributeFaultCode, message: string): ValueOutcome {
  return { ok: false, code, message };
}
