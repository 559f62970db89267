import { createHash, createHmac } from 'node:crypto';
import { dottedText, v2CompanyText, v2SubscriberText } from '../verify/mac-texts.js';
import { TIMESTAMP_SECONDS_MAX } from '../verify/proof-time.js';
import type { Mistake } from './mistakes.js';

/** Some bytes as they would be after a mistake; `undefined` for the bytes as they should be. */
export interface Variant {
  readonly mistake: Mistake | undefined;
  readonly bytes: Buffer;
}

/** What the message of an HMAC may have been made of. */
export interface MessageFacts {
  readonly id: string;
  readonly publicKey: string;
  readonly timestamp?: number | undefined;
  readonly emails?: readonly string[];
  readonly companyIds?: readonly string[];
}

const TOO_LONG_FOR_A_HASH = 400;

/** The id as it may have been hashed, the right ones first. */
export function messageVariants({ id, publicKey, timestamp, emails = [], companyIds = [] }: MessageFacts): Variant[] {
  const texts: [Mistake | undefined, string | undefined][] = [
    [undefined, id],
    ['id_trailing_newline', withoutLineEnd(id)],
    ...['\n', '\r\n'].map((end): [Mistake, string] => ['id_trailing_newline', `${id}${end}`]),
    ['id_trimmed', id.trim()],
    ...[`${id} `, ` ${id}`, ` ${id} `, `${id}\t`, `\t${id}`].map((text): [Mistake, string] => ['id_trimmed', text]),
    ['id_case', id.toLowerCase()],
    ['id_case', id.toUpperCase()],
    ...urlForms(id).map((text): [Mistake, string] => ['id_url_encoded', text]),
    ['id_unicode_form', id.normalize('NFC')],
    ['id_unicode_form', id.normalize('NFD')],
    ['id_unicode_form', id.normalize('NFKC')],
    ...asNumber(id).map((text): [Mistake, string] => ['id_as_number', text]),
    ['id_quoted', JSON.stringify(id)],
    ...emails.flatMap((email): [Mistake, string][] => [
      ['email_instead_of_id', email],
      ['email_instead_of_id', email.toLowerCase()],
    ]),
    ...companyIds.map((companyId): [Mistake, string] => ['company_instead_of_subscriber', companyId]),
  ];
  if (timestamp !== undefined) texts.push(...timedTexts({ id, publicKey, timestamp, companyIds }));
  const variants = texts.flatMap(([mistake, text]) => (text === undefined ? [] : [{ mistake, bytes: Buffer.from(text, 'utf8') }]));
  return withoutRepeats([...variants, ...byteVariants(id)]);
}

/** Bytes 0x80 to 0x9f of Windows-1252, elsewhere it is Latin-1. By hand: some versions of Node decode it as if it were Latin-1 there too. */
const WINDOWS_1252 =
  '\u20ac\x81\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\x8d\u017d\x8f\x90\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\x9d\u017e\u0178';

/** The id in other bytes than UTF-8: what has none of its own becomes a question mark (one a character, or one a half of it) or goes. */
function byteVariants(id: string): Variant[] {
  const utf8 = Buffer.from(id, 'utf8');
  const latin1 = [
    Buffer.from(id, 'latin1'),
    Buffer.from(id.replaceAll(/[^\0-\xff]/gu, '?'), 'latin1'),
    Buffer.from([...id].map((char) => windows1252ByteOf(char))),
    // Taken for Latin-1 and turned into UTF-8 once more.
    Buffer.from(utf8.toString('latin1'), 'utf8'),
    Buffer.from(
      utf8.toString('latin1').replaceAll(/[\x80-\x9f]/g, (char) => WINDOWS_1252.charAt(char.charCodeAt(0) - 0x80)),
      'utf8',
    ),
  ];
  const ascii = [id.replaceAll(/[^\0-\x7f]/g, '?'), id.replaceAll(/[^\0-\x7f]/gu, '?'), id.replaceAll(/[^\0-\x7f]/g, '')];
  return [
    ...ascii.map((text): Variant => ({ mistake: 'id_as_ascii', bytes: Buffer.from(text, 'latin1') })),
    ...latin1.map((bytes): Variant => ({ mistake: 'id_as_latin1', bytes })),
  ];
}

function windows1252ByteOf(char: string): number {
  const index = WINDOWS_1252.indexOf(char);
  if (index >= 0) return 0x80 + index;
  const code = char.codePointAt(0) ?? 0;
  return code <= 0xff ? code : 0x3f;
}

/** The texts with a time in them. Milliseconds may have been signed and sent, or only signed. */
function timedTexts({
  id,
  publicKey,
  timestamp,
  companyIds,
}: Required<Pick<MessageFacts, 'id' | 'publicKey' | 'companyIds'>> & { readonly timestamp: number }): [Mistake | undefined, string][] {
  const isMilliseconds = timestamp > TIMESTAMP_SECONDS_MAX;
  const times: [Mistake | undefined, number][] = isMilliseconds
    ? [['timestamp_in_milliseconds', timestamp]]
    : [
        [undefined, timestamp],
        ['timestamp_in_milliseconds', timestamp * 1_000],
      ];
  return times.flatMap(([mistake, seconds]): [Mistake | undefined, string][] => [
    [mistake, dottedText(id, seconds)],
    [mistake, v2SubscriberText({ publicKey, seconds, id })],
    ...companyIds.map((companyId): [Mistake, string] => [
      'company_instead_of_subscriber',
      v2CompanyText({ publicKey, seconds, id: companyId, subscriberId: id }),
    ]),
  ]);
}

/** A secret as it may have been used, the right way first. */
export function keyVariants(secret: string): Variant[] {
  const bare = secret.replace(/^[a-z]+_(?:live|test)_/, '');
  return withoutRepeats([
    { mistake: undefined, bytes: Buffer.from(secret, 'utf8') },
    ...[`${secret}\n`, `${secret}\r\n`, `${secret} `, ` ${secret}`, secret.trim()].map((text): Variant => ({
      mistake: 'secret_trailing_newline',
      bytes: Buffer.from(text, 'utf8'),
    })),
    ...[`"${secret}"`, `'${secret}'`].map((text): Variant => ({ mistake: 'secret_quoted', bytes: Buffer.from(text, 'utf8') })),
    { mistake: 'secret_without_prefix', bytes: Buffer.from(bare, 'utf8') },
    ...[secret, bare].flatMap((text): Variant[] => [
      { mistake: 'secret_as_hex', bytes: Buffer.from(text, 'hex') },
      { mistake: 'secret_as_base64', bytes: Buffer.from(text, 'base64') },
      // Most decoders pass over what is not of their alphabet; Node takes _ and - for characters of it.
      { mistake: 'secret_as_base64', bytes: Buffer.from(text.replaceAll(/[_-]/g, ''), 'base64') },
    ]),
  ]).filter(({ bytes, mistake }) => bytes.length > 0 || mistake === undefined);
}

/** A digest, with the mistakes that it was made with. */
export interface DigestVariant {
  readonly mistakes: readonly Mistake[];
  readonly bytes: Buffer;
}

const DIGESTS: readonly { readonly algorithm: string; readonly bytes: number; readonly mistakes: readonly Mistake[] }[] = [
  { algorithm: 'sha256', bytes: 32, mistakes: [] },
  { algorithm: 'sha1', bytes: 20, mistakes: ['hmac_sha1'] },
  { algorithm: 'sha512', bytes: 64, mistakes: ['hmac_sha512'] },
];

/** Digests of a message under a key, the right one first; of the lengths in bytes that are asked for. */
export function digestVariants(key: Buffer, message: Buffer, lengths: ReadonlySet<number>): DigestVariant[] {
  return DIGESTS.filter(({ bytes }) => lengths.has(bytes)).flatMap(({ algorithm, mistakes }) => [
    { mistakes, bytes: createHmac(algorithm, key).update(message).digest() },
    { mistakes: [...mistakes, 'arguments_swapped'], bytes: createHmac(algorithm, message).update(key).digest() },
    { mistakes: [...mistakes, 'sha256_not_hmac'], bytes: createHash(algorithm).update(key).update(message).digest() },
    { mistakes: [...mistakes, 'sha256_not_hmac'], bytes: createHash(algorithm).update(message).update(key).digest() },
  ]);
}

/** The bytes that a hash in text form may stand for, each with what was done to them. */
export function claimedVariants(hash: string): Variant[] {
  const text = hash.trim().replace(/^sha256=/i, '');
  if (text.length > TOO_LONG_FOR_A_HASH) return [];
  const variants: Variant[] = [];
  if (/^(?:[0-9a-f]{2})+$/i.test(text)) variants.push({ mistake: undefined, bytes: Buffer.from(text, 'hex') });
  const bytes = Buffer.from(text, 'base64');
  variants.push({ mistake: undefined, bytes });
  const inner = bytes.toString('latin1').trim();
  if (/^(?:[0-9a-f]{2})+$/i.test(inner)) variants.push({ mistake: 'base64_of_hex', bytes: Buffer.from(inner, 'hex') });
  return variants;
}

function withoutRepeats(variants: readonly Variant[]): Variant[] {
  const seen = new Set<string>();
  return variants.filter(({ bytes }) => {
    const key = bytes.toString('base64');
    return seen.size < seen.add(key).size;
  });
}

/** The id encoded and decoded: as JavaScript, RFC 3986 and forms have it, and with the hex digits in the other letters. */
function urlForms(id: string): string[] {
  if (/\p{Surrogate}/u.test(id)) return [];
  const strict = encodeURIComponent(id).replaceAll(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
  const encoded = [encodeURIComponent(id), strict, encodeURI(id), new URLSearchParams({ id }).toString().slice('id='.length)];
  const lowerCased = encoded.map((text) => text.replaceAll(/%[0-9A-F]{2}/g, (escape) => escape.toLowerCase()));
  return [...encoded, ...lowerCased, ...decoded(id), ...decoded(id.replaceAll('+', ' '))];
}

function decoded(id: string): string[] {
  try {
    return [decodeURIComponent(id)];
  } catch {
    return [];
  }
}

/** Digits as other languages write the number, too: Python's `str(123.0)`. */
function asNumber(id: string): string[] {
  return /^-?\d+$/.test(id) ? [String(Number(id)), `${Number(id)}.0`] : [];
}

function withoutLineEnd(id: string): string | undefined {
  return endsWithLine(id) ? id.replace(/[\r\n]+$/, '') : undefined;
}

/** Does the id end with the end of a line? */
export function endsWithLine(id: string): boolean {
  return /[\r\n]$/.test(id);
}
