import { createHash, createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { findHashOrigin, type SuspectKey } from './diagnose-hash.js';
import type { MessageFacts } from './hash-variants.js';
import type { Mistake } from './mistakes.js';

const SECRET = 'isk_live_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg';
const HEX_SECRET = '4f3c2b1a09e8d7c6b5a4938271605f4e4f3c2b1a09e8d7c6b5a4938271605f4e';
const BASE64_SECRET = 'T2mQvVdM2TxE6yT3x9m8b8o9VnY2bS0uYc9m0m1q2r4=';
const RETIRED = 'isk_live_retired6789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg';
const FOREIGN = 'isk_test_foreign6789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg';
const PUBLIC_KEY = 'pk_live_public';
const NOW = 1_795_300_000;

const keyOf = (id: string, text: string, facts: Partial<SuspectKey> = {}): SuspectKey => ({
  id,
  text,
  lastFour: text.slice(-4),
  environmentId: 'own',
  isOwn: true,
  live: true,
  ...facts,
});
const KEYS = [
  keyOf('live', SECRET),
  keyOf('hex', HEX_SECRET),
  keyOf('base64', BASE64_SECRET),
  keyOf('retired', RETIRED, { live: false }),
  keyOf('foreign', FOREIGN, { isOwn: false, environmentId: 'other' }),
];

const hmac = (key: string | Buffer, message: string | Buffer, algorithm = 'sha256') => createHmac(algorithm, key).update(message);
const diagnose = (hash: string, facts: Partial<MessageFacts> = {}) =>
  findHashOrigin(hash, { id: 'User-123', publicKey: PUBLIC_KEY, ...facts }, KEYS);

interface Case {
  readonly mistake: Mistake;
  readonly what: string;
  readonly hash: string;
  readonly id?: string;
  readonly facts?: Partial<MessageFacts>;
  readonly key?: string;
}

const right = hmac(SECRET, 'User-123').digest('hex');

const CASES: readonly Case[] = [
  {
    mistake: 'other_environment_secret',
    what: 'the secret of another environment',
    hash: hmac(FOREIGN, 'User-123').digest('hex'),
    key: 'foreign',
  },
  { mistake: 'retired_secret', what: 'a retired secret', hash: hmac(RETIRED, 'User-123').digest('base64'), key: 'retired' },
  { mistake: 'id_trimmed', what: 'a trimmed id', id: ' user ', hash: hmac(SECRET, 'user').digest('hex') },
  { mistake: 'id_trimmed', what: 'an id with a space that was not sent', id: 'user', hash: hmac(SECRET, 'user ').digest('hex') },
  { mistake: 'id_case', what: 'a lower-cased id', hash: hmac(SECRET, 'user-123').digest('hex') },
  { mistake: 'id_case', what: 'an upper-cased id', hash: hmac(SECRET, 'USER-123').digest('hex') },
  { mistake: 'id_url_encoded', what: 'a percent-encoded id', id: 'a/b c', hash: hmac(SECRET, 'a%2Fb%20c').digest('hex') },
  { mistake: 'id_url_encoded', what: 'a form-encoded id', id: 'a/b c', hash: hmac(SECRET, 'a%2Fb+c').digest('hex') },
  { mistake: 'id_url_encoded', what: 'a decoded id', id: 'a%2Fb', hash: hmac(SECRET, 'a/b').digest('hex') },
  { mistake: 'id_url_encoded', what: 'an id encoded by RFC 3986', id: "it's(1)*", hash: hmac(SECRET, 'it%27s%281%29%2A').digest('hex') },
  { mistake: 'id_url_encoded', what: 'an id encoded in lower case', id: 'a/b c', hash: hmac(SECRET, 'a%2fb+c').digest('hex') },
  { mistake: 'id_url_encoded', what: 'a form-decoded id', id: 'a+b%40c', hash: hmac(SECRET, 'a b@c').digest('hex') },
  { mistake: 'id_unicode_form', what: 'NFC of an NFD id', id: 'ju\u0308rgen', hash: hmac(SECRET, 'j\u00fcrgen').digest('hex') },
  { mistake: 'id_unicode_form', what: 'NFD of an NFC id', id: 'j\u00fcrgen', hash: hmac(SECRET, 'ju\u0308rgen').digest('hex') },
  { mistake: 'id_as_number', what: 'an id that lost its zeros', id: '00123', hash: hmac(SECRET, '123').digest('hex') },
  { mistake: 'id_as_number', what: 'an id that became a fraction', id: '123', hash: hmac(SECRET, '123.0').digest('hex') },
  {
    mistake: 'id_as_number',
    what: 'an id that lost its digits',
    id: '12345678901234567891',
    hash: hmac(SECRET, String(12345678901234567000)).digest('hex'),
  },
  { mistake: 'id_quoted', what: 'the JSON text of an id', hash: hmac(SECRET, '"User-123"').digest('hex') },
  { mistake: 'id_trailing_newline', what: 'a line end after the id', hash: hmac(SECRET, 'User-123\n').digest('hex') },
  { mistake: 'id_trailing_newline', what: 'a line end that was sent', id: 'user\n', hash: hmac(SECRET, 'user').digest('hex') },
  { mistake: 'id_trimmed', what: 'a tab before the id', hash: hmac(SECRET, '\tUser-123').digest('hex') },
  { mistake: 'id_trailing_newline', what: 'a Windows line end after the id', hash: hmac(SECRET, 'User-123\r\n').digest('hex') },
  { mistake: 'secret_trailing_newline', what: 'a line end after the secret', hash: hmac(`${SECRET}\n`, 'User-123').digest('hex') },
  { mistake: 'secret_quoted', what: 'quotation marks around the secret', hash: hmac(`"${SECRET}"`, 'User-123').digest('hex') },
  {
    mistake: 'secret_without_prefix',
    what: 'a secret without its prefix',
    hash: hmac(SECRET.slice('isk_live_'.length), 'User-123').digest('hex'),
  },
  {
    mistake: 'secret_as_hex',
    what: 'hex bytes of the secret',
    hash: hmac(Buffer.from(HEX_SECRET, 'hex'), 'User-123').digest('hex'),
    key: 'hex',
  },
  {
    mistake: 'secret_as_base64',
    what: 'base64 bytes of the secret',
    hash: hmac(Buffer.from(BASE64_SECRET, 'base64'), 'User-123').digest('hex'),
    key: 'base64',
  },
  {
    mistake: 'secret_as_base64',
    what: 'base64 bytes of the secret, by a decoder that passes over the rest',
    hash: hmac(Buffer.from(SECRET.replaceAll('_', ''), 'base64'), 'User-123').digest('hex'),
  },
  { mistake: 'secret_empty', what: 'an empty secret', hash: hmac('', 'User-123').digest('hex') },
  { mistake: 'public_key_as_secret', what: 'the public key as secret', hash: hmac(PUBLIC_KEY, 'User-123').digest('hex') },
  { mistake: 'arguments_swapped', what: 'key and message swapped', hash: hmac('User-123', SECRET).digest('hex') },
  { mistake: 'sha256_not_hmac', what: 'SHA-256 of secret and id', hash: createHash('sha256').update(`${SECRET}User-123`).digest('base64') },
  { mistake: 'sha256_not_hmac', what: 'SHA-256 of id and secret', hash: createHash('sha256').update(`User-123${SECRET}`).digest('hex') },
  { mistake: 'hmac_sha1', what: 'HMAC-SHA1', hash: hmac(SECRET, 'User-123', 'sha1').digest('hex') },
  { mistake: 'hmac_sha512', what: 'HMAC-SHA512', hash: hmac(SECRET, 'User-123', 'sha512').digest('hex') },
  { mistake: 'hmac_sha512', what: 'HMAC-SHA512 in base64', hash: hmac(SECRET, 'User-123', 'sha512').digest('base64') },
  { mistake: 'base64_of_hex', what: 'base64 of the hex text', hash: Buffer.from(right).toString('base64') },
  {
    mistake: 'email_instead_of_id',
    what: 'the e-mail address',
    hash: hmac(SECRET, 'jane@example.com').digest('hex'),
    facts: { emails: ['Jane@example.com'] },
  },
  {
    mistake: 'company_instead_of_subscriber',
    what: 'the company',
    hash: hmac(SECRET, 'acme').digest('hex'),
    facts: { companyIds: ['acme'] },
  },
  {
    mistake: 'company_instead_of_subscriber',
    what: 'the proof of a company',
    hash: hmac(SECRET, `v2:company\n${PUBLIC_KEY}\n${NOW}\nUser-123\nacme`).digest('hex'),
    facts: { companyIds: ['acme'], timestamp: NOW },
  },
  { mistake: 'id_as_ascii', what: 'ASCII bytes', id: 'j\u00fcrgen', hash: hmac(SECRET, 'j?rgen').digest('hex') },
  { mistake: 'id_as_ascii', what: 'ASCII bytes, the rest left away', id: 'j\u00fcrgen', hash: hmac(SECRET, 'jrgen').digest('hex') },
  { mistake: 'id_as_ascii', what: 'one question mark a character', id: 'a\u{1f600}', hash: hmac(SECRET, 'a?').digest('hex') },
  { mistake: 'id_as_ascii', what: 'two question marks', id: 'a\u{1f600}', hash: hmac(SECRET, 'a??').digest('hex') },
  {
    mistake: 'id_as_latin1',
    what: 'Windows-1252 bytes',
    id: 'a\u20acb\u00fc',
    hash: hmac(SECRET, Buffer.from([0x61, 0x80, 0x62, 0xfc])).digest('hex'),
  },
  {
    mistake: 'id_as_latin1',
    what: 'UTF-8 that was taken for Latin-1',
    id: 'j\u00fcrgen',
    hash: hmac(SECRET, 'j\u00c3\u00bcrgen').digest('hex'),
  },
  {
    mistake: 'id_as_latin1',
    what: 'Latin-1 bytes',
    id: 'j\u00fcrgen',
    hash: hmac(SECRET, Buffer.from('j\u00fcrgen', 'latin1')).digest('hex'),
  },
  {
    mistake: 'timestamp_in_milliseconds',
    what: 'a timestamp in milliseconds',
    hash: hmac(SECRET, `User-123.${NOW}000`).digest('hex'),
    facts: { timestamp: NOW * 1_000 },
  },
];

describe('findHashOrigin', () => {
  it.each(CASES)('names $mistake: $what', ({ mistake, hash, id, facts, key = 'live' }) => {
    const origin = diagnose(hash, { ...facts, ...(id === undefined ? {} : { id }) });
    expect(origin?.mistakes).toEqual([mistake]);
    expect(origin?.key?.id).toBe(['secret_empty', 'public_key_as_secret'].includes(mistake) ? undefined : key);
  });

  it('finds mistakes that were made together', () => {
    const plain = (algorithm: string) => createHash(algorithm).update(`${SECRET}User-123`).digest('hex');
    expect(diagnose(plain('sha1'))?.mistakes).toEqual(['hmac_sha1', 'sha256_not_hmac']);
    expect(diagnose(plain('sha512'))?.mistakes).toEqual(['hmac_sha512', 'sha256_not_hmac']);
    expect(diagnose(hmac(RETIRED, 'user-123\n').digest('hex'))).toBeUndefined();
    expect(diagnose(hmac(RETIRED, 'user-123').digest('hex'))?.mistakes).toEqual(['retired_secret', 'id_case']);
    expect(diagnose(Buffer.from(hmac(FOREIGN, 'User-123\n').digest('hex')).toString('base64'))?.mistakes).toEqual([
      'other_environment_secret',
      'id_trailing_newline',
      'base64_of_hex',
    ]);
  });

  it('finds nothing wrong in a right hash, however it is spelled', () => {
    for (const hash of [right, right.toUpperCase(), ` ${right}\n`, `sha256=${right}`, Buffer.from(right, 'hex').toString('base64url')]) {
      expect(diagnose(hash)).toMatchObject({ mistakes: [], key: { id: 'live' } });
    }
    expect(diagnose(hmac(SECRET, `User-123.${NOW}`).digest('hex'), { timestamp: NOW })?.mistakes).toEqual([]);
    const v2 = ['v2:subscriber', PUBLIC_KEY, NOW, 'User-123'].join('\n');
    expect(diagnose(hmac(SECRET, v2).digest('hex'), { timestamp: NOW })?.mistakes).toEqual([]);
  });

  it('says nothing of a hash that nothing explains', () => {
    for (const hash of [
      'f'.repeat(64),
      '',
      'zz',
      '='.repeat(44),
      'x'.repeat(1_000),
      right.slice(1),
      hmac('somebody', 'User-123').digest('hex'),
    ]) {
      expect(diagnose(hash)).toBeUndefined();
    }
  });
});
