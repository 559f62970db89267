import { createHash, createHmac, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isSubscriberId, SUBSCRIBER_HASH_VERDICTS, verifySubscriberHash } from './verify-subscriber-hash.js';

interface Vector {
  readonly name: string;
  readonly secret: string;
  readonly id: string;
  readonly hex: string;
  readonly base64: string;
  readonly accept: boolean;
}

const VECTORS_FILE = fileURLToPath(new URL('../../../../../shared/data/identity-vectors.json', import.meta.url));
const SECRET = 'whk_test_4f3c2b1a09e8d7c6b5a4938271605f4e';
const OTHER_SECRET = 'whk_test_another';
const ID = 'user-123';
const HEX = 'ef850d00f33c3e290d5ff91c9708c8f31c66104c76362d7a5014b209b1ee19dd';
const BASE64 = '74UNAPM8PikNX/kclwjI8xxmEEx2Ni16UBSyCbHuGd0=';

const macOf = (id: string, secret = SECRET) => createHmac('sha256', secret).update(id, 'utf8').digest();
const verdictOf = (hash: unknown, id: unknown = ID, secrets: readonly string[] = [SECRET]) =>
  verifySubscriberHash({ id, hash, secrets }).verdict;

const vectors = readVectors();

/** The vectors that lie beside the repository; a clone without them says so and goes on. */
function readVectors(): Vector[] {
  if (existsSync(VECTORS_FILE)) return (JSON.parse(readFileSync(VECTORS_FILE, 'utf8')) as { vectors: Vector[] }).vectors;
  console.warn(`SKIPPED: the shared identity vectors are not at ${VECTORS_FILE}`);
  return [];
}

describe('verifySubscriberHash with the shared vectors', () => {
  it.skipIf(vectors.length === 0)('has vectors to accept and vectors to refuse', () => {
    expect(new Set(vectors.map((vector) => vector.accept))).toEqual(new Set([true, false]));
  });

  it.each(vectors)('decides the vector "$name" as it says, in each encoding', (vector) => {
    const unpadded = vector.base64.replace(/=+$/, '');
    const url = vector.base64.replaceAll('+', '-').replaceAll('/', '_');
    const spellings = [vector.hex, vector.hex.toUpperCase(), vector.base64, unpadded, url, url.replace(/=+$/, '')];
    for (const hash of spellings) expect([hash, verdictOf(hash, vector.id, [vector.secret]) === 'valid']).toEqual([hash, vector.accept]);
    expect(verdictOf(vector.hex, vector.id, [OTHER_SECRET])).not.toBe('valid');
    expect(verdictOf(vector.hex, `${vector.id} `, [vector.secret])).not.toBe('valid');
  });
});

describe('verifySubscriberHash on ids', () => {
  it('names an id that is not a string', () => {
    for (const id of [undefined, null, 123, true, {}, [ID], Symbol('x'), 1n, { toString: () => ID }]) {
      expect(verifySubscriberHash({ id, hash: HEX, secrets: [SECRET] }).verdict).toBe('id_not_string');
    }
  });

  it('measures an id in UTF-8 bytes', () => {
    for (const id of ['x'.repeat(255), 'ü'.repeat(127), '\u{1f600}'.repeat(63)])
      expect(verdictOf(macOf(id).toString('hex'), id)).toBe('valid');
    for (const id of ['', 'x'.repeat(256), 'ü'.repeat(128), '\u{1f600}'.repeat(64)]) {
      expect(verdictOf(macOf(id).toString('hex'), id)).toBe('id_invalid');
    }
  });

  it('refuses control characters and lone surrogates even with the right hash', () => {
    for (const id of ['a\0', 'a\n', 'a\r', 'a\t', '\u001fa', 'a\u007f', 'a\u0080', 'a\u009f', '\ud800', 'a\udc00b', '\udc00\ud800']) {
      expect(verdictOf(macOf(id).toString('hex'), id)).toBe('id_invalid');
    }
  });

  it('never trims, folds or normalises an id', () => {
    for (const other of ['user-123 ', ' user-123', 'USER-123', 'user-123\u200b', 'user\u2010123']) {
      expect(verdictOf(HEX, other)).toBe('mismatch');
      expect(verdictOf(macOf(other).toString('hex'), other)).toBe('valid');
    }
    expect(verdictOf(macOf('jürgen'.normalize('NFC')).toString('hex'), 'jürgen'.normalize('NFD'))).toBe('mismatch');
  });

  it('checks the id before the hash', () => {
    expect(verdictOf(undefined, 5)).toBe('id_not_string');
    expect(verdictOf('zz', '')).toBe('id_invalid');
  });
});

describe('verifySubscriberHash on hashes', () => {
  it('tells a missing hash from a malformed one', () => {
    for (const hash of [undefined, null, '']) expect(verdictOf(hash)).toBe('hash_missing');
    for (const hash of [0, 1, true, {}, [HEX], { length: 64 }, Buffer.from(HEX, 'hex'), 'zz', 'z'.repeat(64)]) {
      expect(verdictOf(hash)).toBe('hash_malformed');
    }
  });

  it('refuses every other length, prefix and surrounding', () => {
    const sha1 = createHmac('sha1', SECRET).update(ID).digest('hex');
    const sha512 = createHmac('sha512', SECRET).update(ID).digest('hex');
    const malformed = [
      HEX.slice(1),
      `${HEX}0`,
      `${HEX}00`,
      `0x${HEX}`,
      ` ${HEX}`,
      `${HEX}\n`,
      `${HEX}\0`,
      `${BASE64}=`,
      `${BASE64} `,
      BASE64.slice(1),
    ];
    malformed.push(sha1, sha512, 'a'.repeat(129), 'f'.repeat(1_000_000), Buffer.from(HEX).toString('base64'), '='.repeat(44));
    for (const hash of malformed) expect([hash.slice(0, 80), verdictOf(hash)]).toEqual([hash.slice(0, 80), 'hash_malformed']);
  });

  it('accepts one spelling of the surplus bits of base64 only', () => {
    const malleable = BASE64.replace('0=', '1=');
    expect(Buffer.from(malleable, 'base64').equals(Buffer.from(BASE64, 'base64'))).toBe(true);
    expect(verdictOf(malleable)).toBe('hash_malformed');
    expect(verdictOf(malleable.slice(0, -1))).toBe('hash_malformed');
  });

  it('refuses a mixture of the two base64 alphabets', () => {
    const id =
      Array.from({ length: 1_000 }, (_, index) => `user-${index}`).find((text) => /\+.*\//.test(macOf(text).toString('base64'))) ?? '';
    const base64 = macOf(id).toString('base64');
    expect(verdictOf(base64, id)).toBe('valid');
    expect(verdictOf(base64.replaceAll('+', '-'), id)).toBe('hash_malformed');
  });

  it('does not take a plain hash of secret and id for an HMAC', () => {
    expect(
      verdictOf(
        createHash('sha256')
          .update(SECRET + ID)
          .digest('hex'),
      ),
    ).toBe('mismatch');
  });
});

describe('verifySubscriberHash on secrets', () => {
  it('accepts the hash of each live secret and says which', () => {
    const secrets = [OTHER_SECRET, SECRET];
    expect(verifySubscriberHash({ id: ID, hash: HEX, secrets })).toEqual({ verdict: 'valid', secretIndex: 1 });
    expect(verifySubscriberHash({ id: ID, hash: macOf(ID, OTHER_SECRET).toString('hex'), secrets })).toEqual({
      verdict: 'valid',
      secretIndex: 0,
    });
  });

  it('accepts nothing without a secret', () => {
    expect(verdictOf(HEX, ID, [])).toBe('mismatch');
  });
});

describe('verifySubscriberHash under random input', { timeout: 60_000 }, () => {
  const spellings = [
    (mac: Buffer) => mac.toString('hex'),
    (mac: Buffer) => mac.toString('hex').toUpperCase(),
    (mac: Buffer) => mac.toString('base64'),
    (mac: Buffer) => mac.toString('base64').replace(/=$/, ''),
    (mac: Buffer) => mac.toString('base64url'),
    (mac: Buffer) => `${mac.toString('base64url')}=`,
  ];
  const anything = fc.oneof(
    fc.anything(),
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc.string({ unit: fc.constantFrom(...'0123456789abcdefABCDEF'), minLength: 62, maxLength: 66 }),
    fc.base64String({ minLength: 40, maxLength: 48 }),
  );

  it('has a verdict for everything and throws for nothing', () => {
    fc.assert(
      fc.property(anything, anything, (id, hash) => {
        expect(SUBSCRIBER_HASH_VERDICTS.filter((verdict) => verdict !== 'valid')).toContain(verdictOf(hash, id));
      }),
      { numRuns: 2_000 },
    );
  });

  it('accepts each spelling of the right MAC for every valid id', () => {
    const ids = fc.string({ unit: 'binary', minLength: 1, maxLength: 255 }).filter(isSubscriberId);
    fc.assert(
      fc.property(ids, fc.string({ minLength: 1 }), fc.constantFrom(...spellings), (id, secret, spell) => {
        expect(verdictOf(spell(macOf(id, secret)), id, [randomBytes(8).toString('hex'), secret])).toBe('valid');
      }),
      { numRuns: 2_000 },
    );
  });

  it('accepts a changed spelling only when it still denotes the same MAC in canonical form', () => {
    const mac = macOf(ID);
    const canonical = new Set(spellings.map((spell) => spell(mac)));
    const edits = fc.record({
      spell: fc.constantFrom(...spellings),
      at: fc.nat(64),
      remove: fc.nat(2),
      insert: fc.string({ unit: 'binary', maxLength: 2 }),
    });
    fc.assert(
      fc.property(edits, ({ spell, at, remove, insert }) => {
        const text = spell(mac);
        const edited = text.slice(0, at) + insert + text.slice(at + remove);
        const accepted = canonical.has(edited) || edited.toLowerCase() === mac.toString('hex');
        expect(verdictOf(edited) === 'valid').toBe(accepted);
      }),
      { numRuns: 5_000 },
    );
  });
});
