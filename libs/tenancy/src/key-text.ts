import { createHash, randomBytes } from 'node:crypto';
import type { EnvironmentKind } from './environment.js';

/** Kinds of keys by prefix: API key (secret), public key of an environment, identity secret (signs subscriber ids). */
export type KeyPrefix = 'sk' | 'pk' | 'isk';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const KEY_RANDOM_BYTES = 32;
/** The fewest base62 digits that hold 256 bits. */
const KEY_DIGITS = 43;
const LAST_DIGITS_SHOWN = 4;
const STAGES: Readonly<Record<EnvironmentKind, string>> = { production: 'live', development: 'test' };
const PATTERNS: Readonly<Record<KeyPrefix, RegExp>> = {
  sk: /^sk_(?:live|test)_[0-9A-Za-z]{43}$/,
  pk: /^pk_(?:live|test)_[0-9A-Za-z]{43}$/,
  isk: /^isk_(?:live|test)_[0-9A-Za-z]{43}$/,
};

/**
 * A new key text: 32 random bytes in base62 behind a prefix that shows its kind and its environment's kind, for example `sk_live_…`.
 * Base62, because a double click selects all of it and no shell or URL has to escape it.
 */
export function newKeyText(prefix: KeyPrefix, kind: EnvironmentKind): string {
  let value = BigInt(`0x${randomBytes(KEY_RANDOM_BYTES).toString('hex')}`);
  let digits = '';
  for (let position = 0; position < KEY_DIGITS; position += 1) {
    digits = ALPHABET.charAt(Number(value % 62n)) + digits;
    value /= 62n;
  }
  return `${prefix}_${STAGES[kind]}_${digits}`;
}

/** True when a text has the shape of such a key; costs nothing, so it runs before any query. */
export function isKeyText(prefix: KeyPrefix, text: string): boolean {
  return PATTERNS[prefix].test(text);
}

/** SHA-256 of a key, what is stored of it. 256 random bits need no salt and no slow hash. */
export function hashKeyText(text: string): Buffer {
  return createHash('sha256').update(text, 'utf8').digest();
}

/** The end of a key, kept so that people can tell their keys apart. */
export function lastFourOf(text: string): string {
  return text.slice(-LAST_DIGITS_SHOWN);
}
