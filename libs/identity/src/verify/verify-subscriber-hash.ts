import { createHmac, timingSafeEqual } from 'node:crypto';
import { EXTERNAL_ID_BYTES_MAX, externalIdFault } from '#subscribers';

/** Longest text that is looked at as a hash; everything longer is malformed unread. */
export const SUBSCRIBER_HASH_LENGTH_MAX = 128;

/**
 * What verification found, in the order of the checks:
 * - `id_not_string`: the id is a number, an object, absent, …
 * - `id_invalid`: empty, longer than 255 bytes, or with control characters or lone surrogates.
 * - `hash_missing`: no proof was sent.
 * - `hash_malformed`: not the hex, base64 or base64url form of 32 bytes.
 * - `mismatch`: well-formed, but made with another secret or for another id.
 * - `valid`: the sender knows a secret of the environment.
 */
export const SUBSCRIBER_HASH_VERDICTS = ['id_not_string', 'id_invalid', 'hash_missing', 'hash_malformed', 'mismatch', 'valid'] as const;

export type SubscriberHashVerdict = (typeof SUBSCRIBER_HASH_VERDICTS)[number];

/** A claim "this browser speaks for subscriber `id`", as it came from outside. */
export interface SubscriberHashProof {
  readonly id: unknown;
  readonly hash: unknown;
  /** Live secrets of the environment; their UTF-8 bytes are the HMAC keys. */
  readonly secrets: readonly string[];
}

/** The verdict; when `valid`, with the position of the secret that made the hash. */
export interface SubscriberHashVerification {
  readonly verdict: SubscriberHashVerdict;
  readonly secretIndex?: number;
}

const HASH_BYTES = 32;
const HEX_PATTERN = /^[0-9a-fA-F]{64}$/;
const BASE64_PATTERN = /^[0-9A-Za-z+/]{43}=?$/;
const BASE64URL_PATTERN = /^[0-9A-Za-z_-]{43}=?$/;

/**
 * Verifies HMAC-SHA256 of a subscriber id. Pure: no lookup, no clock, and no exception for any input.
 *
 * The id is used exactly as it is: never trimmed, case-folded or normalised, so NFC and NFD spellings are two ids. The hash may be
 * hex in any case, base64 or base64url with or without padding, in canonical form only: one MAC has no second spelling. Every secret
 * is tried and compared in constant time, so the time tells neither how much of a hash was right nor which secret made it.
 */
export function verifySubscriberHash({ id, hash, secrets }: SubscriberHashProof): SubscriberHashVerification {
  if (typeof id !== 'string') return { verdict: 'id_not_string' };
  if (!isSubscriberId(id)) return { verdict: 'id_invalid' };
  if (hash === undefined || hash === null || hash === '') return { verdict: 'hash_missing' };
  const claimed = typeof hash === 'string' ? decodeSubscriberHash(hash) : undefined;
  if (claimed === undefined) return { verdict: 'hash_malformed' };
  let secretIndex: number | undefined;
  for (const [index, secret] of secrets.entries()) {
    const equal = timingSafeEqual(createHmac('sha256', secret).update(id, 'utf8').digest(), claimed);
    secretIndex = equal ? index : secretIndex;
  }
  return secretIndex === undefined ? { verdict: 'mismatch' } : { verdict: 'valid', secretIndex };
}

/**
 * True for the ids that a subscriber may have: 1 to 255 UTF-8 bytes without control characters and lone surrogates. Node hashes every
 * lone surrogate as U+FFFD, so two such ids would share one MAC. The length in UTF-16 units is looked at first: it costs nothing.
 */
export function isSubscriberId(text: string): boolean {
  return text.length <= EXTERNAL_ID_BYTES_MAX && externalIdFault(text) === undefined;
}

/**
 * The 32 bytes behind a hash in text form; `undefined` unless the text is their one canonical spelling in its alphabet. `Buffer.from`
 * ignores what it does not know and drops surplus bits, hence the patterns before it and the re-encoding after it.
 */
export function decodeSubscriberHash(text: string): Buffer | undefined {
  if (text.length > SUBSCRIBER_HASH_LENGTH_MAX) return undefined;
  if (HEX_PATTERN.test(text)) return Buffer.from(text, 'hex');
  if (BASE64_PATTERN.test(text)) return decodeCanonical(text, 'base64');
  if (BASE64URL_PATTERN.test(text)) return decodeCanonical(text, 'base64url');
  return undefined;
}

function decodeCanonical(text: string, encoding: 'base64' | 'base64url'): Buffer | undefined {
  const bytes = Buffer.from(text, encoding);
  const unpadded = text.endsWith('=') ? text.slice(0, -1) : text;
  const canonical = bytes.toString(encoding).replace(/=$/, '');
  return bytes.length === HASH_BYTES && canonical === unpadded ? bytes : undefined;
}
