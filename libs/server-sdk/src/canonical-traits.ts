import { IdentityMistakeError } from './mistakes.js';

/** Longest canonical text, in characters, and deepest nesting that the gateway takes. */
export const TRAITS_LENGTH_MAX = 16_384;
export const TRAITS_DEPTH_MAX = 32;

/** A value as JSON has it. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

/** Traits in the form in which they travel, with the text whose digest is signed. */
export interface CanonicalTraits {
  readonly traits: { readonly [name: string]: Json };
  readonly text: string;
}

/**
 * Traits as JSON (dates become text, members that are undefined fall away) and their canonical text by RFC 8785: no space, members sorted
 * by UTF-16 code units, numbers and strings as ECMAScript writes them. What is sent has to be what comes back in `traits`: the gateway
 * makes the same text from it.
 *
 * @throws IdentityMistakeError `traits_invalid` for what JSON would change silently, and beyond the limits
 */
export function canonicalTraits(value: unknown): CanonicalTraits {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid('must be an object');
  const json: unknown = JSON.parse(toJson(value));
  if (!isObject(json)) throw invalid('must be an object');
  const text = write(json, 0);
  if (text.length > TRAITS_LENGTH_MAX) throw invalid(`are longer than ${TRAITS_LENGTH_MAX} characters of JSON`);
  return { traits: json, text };
}

function toJson(value: object): string {
  try {
    return JSON.stringify(value, function refuseUnsayable(this: unknown, name: string, member: unknown) {
      const isLost = member === undefined ? Array.isArray(this) : typeof member === 'function' || typeof member === 'symbol';
      if (isLost || typeof member === 'bigint' || (typeof member === 'number' && !Number.isFinite(member))) {
        throw invalid(`hold a value at "${name}" that JSON does not know`);
      }
      return member;
    });
  } catch (error) {
    // Circles, and nesting beyond the stack.
    throw error instanceof IdentityMistakeError ? error : invalid('cannot be written as JSON');
  }
}

function write(value: Json, depth: number): string {
  if (depth > TRAITS_DEPTH_MAX) throw invalid(`are nested deeper than ${TRAITS_DEPTH_MAX}`);
  if (typeof value === 'string') return writeString(value);
  if (Array.isArray(value)) return `[${value.map((item: Json) => write(item, depth + 1)).join(',')}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const names = Object.keys(value).sort();
  return `{${names.map((name) => `${writeString(name)}:${write(value[name] ?? null, depth + 1)}`).join(',')}}`;
}

function writeString(text: string): string {
  if (/\p{Surrogate}/u.test(text)) throw invalid('hold half of a character (a lone surrogate)');
  return JSON.stringify(text);
}

function isObject(value: unknown): value is { readonly [name: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(fault: string): IdentityMistakeError {
  return new IdentityMistakeError('traits_invalid', `The traits ${fault}.`);
}
