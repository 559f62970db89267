import { isUtf8 } from 'node:buffer';
import { JsonKeyForbiddenError, JsonMalformedError, JsonTooComplexError, ValidationFailedError } from './http.errors.js';
import { isStorableText } from './text-schema.js';

/** Levels of nesting that a JSON document may have. */
export const JSON_DEPTH_MAX = 32;

/** Values (objects, arrays, members, items) that one JSON document may have: bounds the work that a small body can cause. */
export const JSON_VALUES_MAX = 50_000;

/** Escapes that can hide a NUL character or a lone surrogate; raw UTF-8 can hold neither inside a JSON text. */
const SUSPICIOUS_ESCAPE = /\\u(?:0000|d[89a-f])/i;

/**
 * Parses a JSON document that came from outside. Whatever it returns can be stored in Postgres and merged into objects: no NUL
 * characters and no lone surrogates unless asked for, no `__proto__`, bounded in depth and in the number of values.
 *
 * @param anyText NUL characters and lone surrogates are left in the texts: what is stored of them has to be looked at elsewhere
 * @throws JsonMalformedError, JsonTooComplexError, JsonKeyForbiddenError, ValidationFailedError
 */
export function parseJson(bytes: Buffer, { anyText = false }: { readonly anyText?: boolean } = {}): unknown {
  if (!isUtf8(bytes)) throw new JsonMalformedError('The body is not UTF-8.');
  const text = bytes.toString('utf8');
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    throw new JsonMalformedError('The body is not a JSON document.', { cause: error });
  }
  assertSafe(document, !anyText && SUSPICIOUS_ESCAPE.test(text));
  return document;
}

interface Visit {
  readonly value: unknown;
  readonly depth: number;
}

/** Walks with a stack of its own: a document of a million brackets must not overflow the call stack. */
function assertSafe(document: unknown, checkTexts: boolean): void {
  const stack: Visit[] = [{ value: document, depth: 1 }];
  let values = 0;
  for (let visit = stack.pop(); visit !== undefined; visit = stack.pop()) {
    const { value, depth } = visit;
    values += 1;
    if (values + stack.length > JSON_VALUES_MAX) throw new JsonTooComplexError(`The body has more than ${JSON_VALUES_MAX} values.`);
    if (typeof value === 'string' && checkTexts) assertStorable(value);
    if (typeof value !== 'object' || value === null) continue;
    if (depth > JSON_DEPTH_MAX) throw new JsonTooComplexError(`The body is nested more than ${JSON_DEPTH_MAX} levels deep.`);
    if (!Array.isArray(value)) assertKeys(value, checkTexts);
    for (const member of Object.values(value)) stack.push({ value: member, depth: depth + 1 });
  }
}

function assertKeys(record: object, checkTexts: boolean): void {
  if (Object.hasOwn(record, '__proto__')) throw new JsonKeyForbiddenError('The body has the key "__proto__".');
  if (Object.hasOwn(record, 'constructor')) {
    const { constructor: member } = record as { constructor: unknown };
    const poisons = typeof member === 'object' && member !== null && Object.hasOwn(member, 'prototype');
    if (poisons) throw new JsonKeyForbiddenError('The body has the key "constructor" with a "prototype" in it.');
  }
  if (checkTexts) Object.keys(record).forEach(assertStorable);
}

function assertStorable(text: string): void {
  if (isStorableText(text)) return;
  const message = 'a text must not contain NUL characters or lone surrogates';
  throw new ValidationFailedError([{ pointer: '', code: 'invalid_text', message }]);
}
