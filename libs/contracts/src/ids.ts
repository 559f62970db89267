import { randomFillSync } from 'node:crypto';

/** Prefixes of public ids. A public id is `<prefix>_<26 Crockford base32 characters>` over a UUID (TypeID layout). */
export const ID_PREFIXES = {
  workspace: 'wsp',
  environment: 'env',
  apiKey: 'key',
  identitySecret: 'ids',
  subscriber: 'sub',
  company: 'cpy',
  import: 'imp',
  segment: 'seg',
  campaign: 'cmp',
  run: 'run',
  content: 'cnt',
  message: 'msg',
  device: 'dev',
  deadLetter: 'dlt',
  breakGlass: 'brk',
  policyChange: 'pch',
} as const;

export type IdKind = keyof typeof ID_PREFIXES;

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const BASE32_LENGTH = 26;
const UUID_PATTERN = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const VALUE_OF_CHARACTER = new Map(Array.from(ALPHABET, (character, value): [string, bigint] => [character, BigInt(value)]));

const RANDOM_POOL_BYTES = 4096;
const RANDOM_BYTES_PER_ID = 10;
const randomPool = Buffer.alloc(RANDOM_POOL_BYTES);
let randomPoolOffset = RANDOM_POOL_BYTES;

/**
 * A new UUID version 7 (RFC 9562 section 5.7): 48 bits of Unix milliseconds, then random bits drawn from a pool, so that ten
 * thousand ids cost one call to the system's generator per 400.
 */
export function newUuid(nowMs: number = Date.now()): string {
  if (randomPoolOffset + RANDOM_BYTES_PER_ID > RANDOM_POOL_BYTES) {
    randomFillSync(randomPool);
    randomPoolOffset = 0;
  }
  const random = randomPool.toString('hex', randomPoolOffset, randomPoolOffset + RANDOM_BYTES_PER_ID);
  randomPoolOffset += RANDOM_BYTES_PER_ID;
  const time = nowMs.toString(16).padStart(12, '0');
  const variant = ((Number.parseInt(random.charAt(3), 16) & 0x3) | 0x8).toString(16);
  return `${time.slice(0, 8)}-${time.slice(8)}-7${random.slice(0, 3)}-${variant}${random.slice(4, 7)}-${random.slice(7, 19)}`;
}

/** The instant in the first 48 bits of a UUID version 7: when it was made, by the clock of its maker. */
export function timeOfUuid(uuid: string): Date {
  return new Date(Number.parseInt(`${uuid.slice(0, 8)}${uuid.slice(9, 13)}`, 16));
}

/** True for a lower-case UUID in the canonical 8-4-4-4-12 form. */
export function isUuid(text: string): boolean {
  return UUID_PATTERN.test(text);
}

/** Shows a UUID as a public id: `encodeId('campaign', uuid)` gives `cmp_…`. */
export function encodeId(kind: IdKind, uuid: string): string {
  return `${ID_PREFIXES[kind]}_${encodeBase32(uuid)}`;
}

/** Reads a public id of the given kind back into its UUID; `undefined` for anything else, so that unknown and foreign ids look alike. */
export function decodeId(kind: IdKind, publicId: string): string | undefined {
  const prefix = `${ID_PREFIXES[kind]}_`;
  return publicId.startsWith(prefix) ? decodeBase32(publicId.slice(prefix.length)) : undefined;
}

/**
 * The public id of one message: its run's message key and its subscriber, `msg_<26><26>`. Both halves are needed because a run
 * has one message key for all its recipients.
 */
export function encodeMessageId(messageKey: string, subscriberId: string): string {
  return `${ID_PREFIXES.message}_${encodeBase32(messageKey)}${encodeBase32(subscriberId)}`;
}

/** The form of a message id; each text of this form decodes. */
export const MESSAGE_ID_PATTERN = /^msg_(?:[0-7][0-9a-hjkmnp-tv-z]{25}){2}$/;

/** Reads a message id back; `undefined` when it is not one. */
export function decodeMessageId(publicId: string): { messageKey: string; subscriberId: string } | undefined {
  const prefix = `${ID_PREFIXES.message}_`;
  if (!publicId.startsWith(prefix) || publicId.length !== prefix.length + 2 * BASE32_LENGTH) return undefined;
  const messageKey = decodeBase32(publicId.slice(prefix.length, prefix.length + BASE32_LENGTH));
  const subscriberId = decodeBase32(publicId.slice(prefix.length + BASE32_LENGTH));
  return messageKey === undefined || subscriberId === undefined ? undefined : { messageKey, subscriberId };
}

/** 128 bits in groups of five, behind two bits of zero. */
function encodeBase32(uuid: string): string {
  let [text, rest, bits] = ['', 0, 2];
  for (const character of uuid) {
    if (character === '-') continue;
    rest = (rest << 4) | Number.parseInt(character, 16);
    bits += 4;
    if (bits < 5) continue;
    bits -= 5;
    text += ALPHABET.charAt(rest >> bits);
    rest &= (1 << bits) - 1;
  }
  return text;
}

function decodeBase32(text: string): string | undefined {
  if (text.length !== BASE32_LENGTH) return undefined;
  let value = 0n;
  for (const character of text) {
    const digit = VALUE_OF_CHARACTER.get(character);
    if (digit === undefined) return undefined;
    value = (value << 5n) | digit;
  }
  if (value >> 128n !== 0n) return undefined;
  const hex = value.toString(16).padStart(32, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
