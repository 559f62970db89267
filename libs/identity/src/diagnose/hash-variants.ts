import { createHash, createHmac } from 'node:crypto';
import { dottedText, v2SubscriberText } from '../verify/mac-texts.js';
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
    ['id_trimmed', id.trim()],
    ...[`${id} `, ` ${id}`, ` ${id} `].map((text): [Mistake, string] => ['id_trimmed', text]),
    ...['\n', '\r\n'].map((end): [Mistake, string] => ['id_trailing_newline', `${id}${end}`]),
    ['id_case', id.toLowerCase()],
    ['id_case', id.toUpperCase()],
    ['id_url_encoded', encodeURIComponent(id)],
    ['id_url_encoded', encodeURI(id)],
    ['id_url_encoded', new URLSearchParams({ id }).toString().slice('id='.length)],
    ['id_url_encoded', decoded(id)],
    ['id_unicode_form', id.normalize('NFC')],
    ['id_unicode_form', id.normalize('NFD')],
    ['id_unicode_form', id.normalize('NFKC')],
    ['id_as_number', asNumber(id)],
    ['id_quoted', JSON.stringify(id)],
    ...emails.flatMap((email): [Mistake, string][] => [
      ['email_instead_of_id', email],
      ['email_instead_of_id', email.toLowerCase()],
    ]),
    ...companyIds.map((companyId): [Mistake, string] => ['company_instead_of_subscriber', companyId]),
  ];
  if (timestamp !== undefined) texts.push(...timedTexts(id, publicKey, timestamp));
  const variants = texts.flatMap(([mistake, text]) => (text === undefined ? [] : [{ mistake, bytes: Buffer.from(text, 'utf8') }]));
  variants.push({ mistake: 'id_as_ascii', bytes: Buffer.from(id.replaceAll(/[^\0-\x7f]/g, '?'), 'latin1') });
  variants.push({ mistake: 'id_as_latin1', bytes: Buffer.from(id, 'latin1') });
  return withoutRepeats(variants);
}

/** The texts with a time in them. Milliseconds may have been signed and sent, or only signed. */
function timedTexts(id: string, publicKey: string, timestamp: number): [Mistake | undefined, string][] {
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
    ]),
  ]).filter(({ bytes, mistake }) => bytes.length > 0 || mistake === undefined);
}

/** Digests of a message under a key, the right one first. */
export function digestVariants(key: Buffer, message: Buffer): Variant[] {
  return [
    { mistake: undefined, bytes: createHmac('sha256', key).update(message).digest() },
    { mistake: 'hmac_sha1', bytes: createHmac('sha1', key).update(message).digest() },
    { mistake: 'hmac_sha512', bytes: createHmac('sha512', key).update(message).digest() },
    { mistake: 'arguments_swapped', bytes: createHmac('sha256', message).update(key).digest() },
    { mistake: 'sha256_not_hmac', bytes: createHash('sha256').update(key).update(message).digest() },
    { mistake: 'sha256_not_hmac', bytes: createHash('sha256').update(message).update(key).digest() },
  ];
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

function decoded(id: string): string | undefined {
  try {
    return decodeURIComponent(id);
  } catch {
    return undefined;
  }
}

function asNumber(id: string): string | undefined {
  return /^-?\d+$/.test(id) ? String(Number(id)) : undefined;
}
