import { createHash, createHmac, createSecretKey, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fuzzRuns, fuzzTimeoutMs } from '#testing';
import { isSubscriberId } from './claim.js';
import { type Proof, REFUSAL_REASONS, type Verdict } from './proof.js';
import { verifyHash } from './verify-hash.js';

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

const PUBLIC_KEY = 'pk_live_test';
const NOW = 1_795_300_000;

const macOf = (id: string, secret = SECRET) => createHmac('sha256', secret).update(id, 'utf8').digest();

function verify(proof: Proof, secrets: readonly string[] = [SECRET], now = NOW): Verdict {
  const hashKeys = secrets.map((secret, index) => ({ id: `key-${index}`, key: createSecretKey(secret, 'utf8') }));
  return verifyHash({ publicKey: PUBLIC_KEY, hashKeys, tokenKeys: [] }, proof, now);
}

const reasonOf = (hash: unknown, id: unknown = ID, secrets: readonly string[] = [SECRET]) =>
  verify({ kind: 'subscriber', id, hash }, secrets).reason;

const hexOf = (text: string, secret = SECRET) => macOf(text, secret).toString('hex');
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

const vectors = readVectors();

/** The vectors that lie beside the repository; a clone without them says so and goes on. */
function readVectors(): Vector[] {
  if (existsSync(VECTORS_FILE)) return (JSON.parse(readFileSync(VECTORS_FILE, 'utf8')) as { vectors: Vector[] }).vectors;
  console.warn(`SKIPPED: the shared identity vectors are not at ${VECTORS_FILE}`);
  return [];
}

describe('verifyHash with the shared vectors', () => {
  it.skipIf(vectors.length === 0)('has vectors to accept and vectors to refuse', () => {
    expect(new Set(vectors.map((vector) => vector.accept))).toEqual(new Set([true, false]));
  });

  it.each(vectors)('decides the vector "$name" as it says, in each encoding', (vector) => {
    const isContext = vector.id.startsWith('{');
    const unpadded = vector.base64.replace(/=+$/, '');
    const url = vector.base64.replaceAll('+', '-').replaceAll('/', '_');
    const spellings = [vector.hex, vector.hex.toUpperCase(), vector.base64, unpadded, url, url.replace(/=+$/, '')];
    for (const hash of spellings) {
      const proof: Proof = isContext
        ? { kind: 'context', id: vector.id, subscriberId: ID, hash }
        : { kind: 'subscriber', id: vector.id, hash };
      expect([hash, verify(proof, [vector.secret]).valid]).toEqual([hash, vector.accept]);
      if (isContext) expect(reasonOf(hash, vector.id, [vector.secret])).toBe('plain_form_refused');
    }
    expect(reasonOf(vector.hex, vector.id, [OTHER_SECRET])).not.toBe('valid');
    expect(reasonOf(vector.hex, `${vector.id} `, [vector.secret])).not.toBe('valid');
  });
});

describe('verifyHash on ids', () => {
  it('names an id that is not a string', () => {
    for (const id of [null, 123, true, {}, [ID], Symbol('x'), 1n, { toString: () => ID }]) {
      expect(reasonOf(HEX, id ?? null)).toBe('id_not_string');
    }
  });

  it('measures an id in UTF-8 bytes', () => {
    for (const id of ['x'.repeat(255), 'ü'.repeat(127), '\u{1f600}'.repeat(63)])
      expect(reasonOf(macOf(id).toString('hex'), id)).toBe('valid');
    for (const id of ['', 'x'.repeat(256), 'ü'.repeat(128), '\u{1f600}'.repeat(64)]) {
      expect(reasonOf(macOf(id).toString('hex'), id)).toBe('id_invalid');
    }
  });

  it('refuses control characters and lone surrogates even with the right hash', () => {
    for (const id of ['a\0', 'a\n', 'a\r', 'a\t', '\u001fa', 'a\u007f', 'a\u0080', 'a\u009f', '\ud800', 'a\udc00b', '\udc00\ud800']) {
      expect(reasonOf(macOf(id).toString('hex'), id)).toBe('id_invalid');
    }
  });

  it('never trims, folds or normalises an id', () => {
    for (const other of ['user-123 ', ' user-123', 'USER-123', 'user-123\u200b', 'user\u2010123']) {
      expect(reasonOf(HEX, other)).toBe('mismatch');
      expect(reasonOf(macOf(other).toString('hex'), other)).toBe('valid');
    }
    expect(reasonOf(macOf('jürgen'.normalize('NFC')).toString('hex'), 'jürgen'.normalize('NFD'))).toBe('mismatch');
  });

  it('checks the id before the hash', () => {
    expect(reasonOf(undefined, 5)).toBe('id_not_string');
    expect(reasonOf('zz', '')).toBe('id_invalid');
  });
});

describe('verifyHash on hashes', () => {
  it('tells a missing hash from a malformed one', () => {
    for (const hash of [undefined, null, '']) expect(reasonOf(hash)).toBe('missing');
    for (const hash of [0, 1, true, {}, [HEX], { length: 64 }, Buffer.from(HEX, 'hex'), 'zz', 'z'.repeat(64)]) {
      expect(reasonOf(hash)).toBe('malformed');
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
      `${HEX}\0`,
      `\u00a0${HEX}`,
      `${HEX.slice(0, 32)} ${HEX.slice(32)}`,
      `${BASE64}=`,
      `SHA256=${HEX}`,
      `sha256= ${HEX}`,
      `sha256=sha256=${HEX}`,
      `sha256:${HEX}`,
      'sha256=',
      ' ',
      BASE64.slice(1),
    ];
    malformed.push(sha1, sha512, 'a'.repeat(129), 'f'.repeat(1_000_000), Buffer.from(HEX).toString('base64'), '='.repeat(44));
    for (const hash of malformed) expect([hash.slice(0, 80), reasonOf(hash)]).toEqual([hash.slice(0, 80), 'malformed']);
  });

  it('takes an optional prefix, and ASCII space around', () => {
    const unpadded = BASE64.slice(0, -1);
    for (const hash of [
      `sha256=${HEX}`,
      `sha256=${BASE64}`,
      ` ${HEX}`,
      `${HEX}\n`,
      `${HEX}\v`,
      `\t\v\f\r\n sha256=${unpadded} \r\n`,
      `${BASE64}\n`,
    ]) {
      expect([hash, reasonOf(hash)]).toEqual([hash, 'valid']);
    }
  });

  it('looks at 128 characters and not at one more', () => {
    expect(reasonOf(HEX.padEnd(128))).toBe('valid');
    expect(reasonOf(HEX.padEnd(129))).toBe('malformed');
  });

  it('accepts one spelling of the surplus bits of base64 only', () => {
    const malleable = BASE64.replace('0=', '1=');
    expect(Buffer.from(malleable, 'base64').equals(Buffer.from(BASE64, 'base64'))).toBe(true);
    expect(reasonOf(malleable)).toBe('malformed');
    expect(reasonOf(malleable.slice(0, -1))).toBe('malformed');
  });

  it('refuses a mixture of the two base64 alphabets', () => {
    const id =
      Array.from({ length: 1_000 }, (_, index) => `user-${index}`).find((text) => /\+.*\//.test(macOf(text).toString('base64'))) ?? '';
    const base64 = macOf(id).toString('base64');
    expect(reasonOf(base64, id)).toBe('valid');
    expect(reasonOf(base64.replaceAll('+', '-'), id)).toBe('malformed');
  });

  it('does not take a plain hash of secret and id for an HMAC', () => {
    expect(
      reasonOf(
        createHash('sha256')
          .update(SECRET + ID)
          .digest('hex'),
      ),
    ).toBe('mismatch');
  });
});

describe('verifyHash on secrets', () => {
  it('accepts the hash of each live secret and says which', () => {
    const secrets = [OTHER_SECRET, SECRET];
    expect(verify({ kind: 'subscriber', id: ID, hash: HEX }, secrets)).toMatchObject({ valid: true, keyId: 'key-1' });
    expect(verify({ kind: 'subscriber', id: ID, hash: hexOf(ID, OTHER_SECRET) }, secrets)).toMatchObject({ valid: true, keyId: 'key-0' });
  });

  it('accepts nothing without a secret', () => {
    expect(reasonOf(HEX, ID, [])).toBe('mismatch');
  });

  it('never accepts the match of a decoy', () => {
    const hashKeys = [{ key: createSecretKey(SECRET, 'utf8') }];
    const verdict = verifyHash({ publicKey: PUBLIC_KEY, hashKeys, tokenKeys: [] }, { kind: 'subscriber', id: ID, hash: HEX }, NOW);
    expect(verdict.reason).toBe('mismatch');
  });
});

describe('verifyHash on grades', () => {
  const traits = { plan: 'pro', seats: 3 };
  const digest = sha256('{"plan":"pro","seats":3}');
  const v2 = (...lines: (string | number)[]) => hexOf(['v2:subscriber', PUBLIC_KEY, NOW, ...lines].join('\n'));
  const accepted = (facts: Partial<Proof>, now = NOW) => verify({ kind: 'subscriber', id: ID, ...facts } as Proof, [SECRET], now);

  it('takes the id alone for static, whether a timestamp stands beside it or not', () => {
    expect(accepted({ hash: HEX })).toEqual({
      valid: true,
      reason: 'valid',
      kind: 'subscriber',
      id: ID,
      grade: 'static',
      form: 'plain',
      keyId: 'key-0',
      timestampUnsigned: false,
      surfaces: ['inbox', 'preferences', 'push', 'identify', 'track'],
    });
    const beside = accepted({ hash: HEX, timestamp: NOW, traits });
    expect(beside).toMatchObject({ grade: 'static', form: 'plain', timestampUnsigned: true });
    expect(beside).not.toHaveProperty('issuedAtSeconds');
    expect(beside).not.toHaveProperty('traits');
  });

  it('takes the time inside the MAC for fresh', () => {
    const fresh = { grade: 'fresh', issuedAtSeconds: NOW, timestampUnsigned: false };
    expect(accepted({ hash: v2(ID), timestamp: NOW })).toMatchObject({ ...fresh, form: 'v2' });
    expect(accepted({ hash: hexOf(`${ID}.${NOW}`), timestamp: NOW })).toMatchObject({ ...fresh, form: 'dotted' });
    expect(accepted({ hash: v2(ID), timestamp: String(NOW) })).toMatchObject({ ...fresh, form: 'v2' });
  });

  it('takes the dotted vector of the reference', () => {
    const hash = '597d0bd53e42e9bc04d3979e584c94fdbc2313b58974a4c0347bd7b201512090';
    expect(accepted({ hash, timestamp: 1_700_000_000 }, 1_700_000_010)).toMatchObject({ grade: 'fresh', form: 'dotted' });
  });

  it('takes traits for traits only when the MAC covers exactly these', () => {
    expect(accepted({ hash: v2(ID, digest), timestamp: NOW, traits: { seats: 3, plan: 'pro' } })).toMatchObject({
      grade: 'traits',
      form: 'v2',
      traits,
    });
    expect(accepted({ hash: v2(ID, digest), timestamp: NOW, traits: { ...traits, seats: 4 } }).reason).toBe('mismatch');
    expect(accepted({ hash: v2(ID, digest), timestamp: NOW }).reason).toBe('mismatch');
    const uncovered = accepted({ hash: v2(ID), timestamp: NOW, traits });
    expect(uncovered).toMatchObject({ grade: 'fresh' });
    expect(uncovered).not.toHaveProperty('traits');
    expect(accepted({ hash: v2(ID, sha256('{}')), timestamp: NOW, traits: {} })).toMatchObject({ grade: 'traits', traits: {} });
  });

  it('refuses traits that cannot be signed', () => {
    for (const bad of ['x', 5, true, [1], { a: '\ud800' }, { a: undefined }, { a: 'x'.repeat(20_000) }, { a: Number.NaN }]) {
      expect(accepted({ hash: v2(ID), timestamp: NOW, traits: bad }).reason).toBe('malformed');
    }
    for (const none of [undefined, null]) expect(accepted({ hash: v2(ID), timestamp: NOW, traits: none }).reason).toBe('valid');
    const longest = { a: 'x'.repeat(16_384 - '{"a":""}'.length) };
    expect(accepted({ hash: v2(ID, sha256(JSON.stringify(longest))), timestamp: NOW, traits: longest })).toMatchObject({ grade: 'traits' });
    expect(accepted({ hash: v2(ID), timestamp: NOW, traits: { a: `${longest.a}x` } }).reason).toBe('malformed');
  });

  it('binds the environment, the time and the kind', () => {
    const of = (kind: string, publicKey: string, seconds: number) => hexOf([kind, publicKey, seconds, ID].join('\n'));
    expect(accepted({ hash: of('v2:subscriber', PUBLIC_KEY, NOW), timestamp: NOW }).reason).toBe('valid');
    expect(accepted({ hash: of('v2:subscriber', 'pk_live_other', NOW), timestamp: NOW }).reason).toBe('mismatch');
    expect(accepted({ hash: of('v2:subscriber', PUBLIC_KEY, NOW), timestamp: NOW + 1 }).reason).toBe('mismatch');
    expect(accepted({ hash: of('v2:subscriber', PUBLIC_KEY, NOW) }).reason).toBe('mismatch');
    for (const kind of ['v2:company', 'v2:context', 'v2', 'v1:subscriber']) {
      expect(accepted({ hash: of(kind, PUBLIC_KEY, NOW), timestamp: NOW }).reason).toBe('mismatch');
    }
  });

  it('lets a proof be 300 seconds old and 60 ahead, and says what is wrong beyond', () => {
    for (const hash of [v2(ID), hexOf(`${ID}.${NOW}`), HEX]) {
      const at = (now: number) => accepted({ hash, timestamp: NOW }, now).reason;
      expect([at(NOW + 300), at(NOW + 301), at(NOW - 60), at(NOW - 61)]).toEqual(['valid', 'expired', 'valid', 'not_yet_valid']);
    }
    expect(accepted({ hash: hexOf('other'), timestamp: NOW }, NOW + 301).reason).toBe('mismatch');
    expect(accepted({ hash: v2(ID), timestamp: NOW }, NOW + 301)).toMatchObject({ kind: 'subscriber', keyId: 'key-0' });
  });

  it.each([
    [NOW * 1_000, /milliseconds/],
    [String(NOW * 1_000), /milliseconds/],
    [100_000_000_000, /milliseconds/],
    [-1, /negative/],
    [NOW + 0.5, /whole seconds/],
    [2 ** 53 + 1, /whole seconds/],
    [Number.NaN, /whole seconds/],
    [Number.POSITIVE_INFINITY, /whole seconds/],
    [`${NOW}.0`, /whole seconds/],
    [`0${NOW}`, /whole seconds/],
    [` ${NOW}`, /whole seconds/],
    [`${NOW} `, /whole seconds/],
    ['-5', /whole seconds/],
    ['1e9', /whole seconds/],
    ['yesterday', /whole seconds/],
    ['9'.repeat(17), /whole seconds/],
    [true, /whole seconds/],
    [{}, /whole seconds/],
    [[NOW], /whole seconds/],
  ])('calls the timestamp %s invalid and says why, before any crypto', (timestamp, hint) => {
    const verdict = accepted({ hash: hexOf('whatever'), timestamp });
    expect(verdict).toMatchObject({ reason: 'timestamp_invalid', detail: expect.stringMatching(hint) });
    expect(verdict).not.toHaveProperty('keyId');
  });

  it('takes an absent timestamp for none, and zero for very old', () => {
    for (const timestamp of [undefined, null, '']) expect(accepted({ hash: HEX, timestamp })).toMatchObject({ timestampUnsigned: false });
    for (const timestamp of [0, '0', 99_999_999_999])
      expect(accepted({ hash: HEX, timestamp }).reason).toMatch(/^(expired|not_yet_valid)$/);
  });
});

describe('verifyHash on kinds', () => {
  const company = 'acme-corp';
  const context = '{"tenant":"acme"}';
  const lines = (...parts: (string | number)[]) => hexOf(parts.join('\n'));
  const companyHash = lines('v2:company', PUBLIC_KEY, NOW, ID, company);
  const ofCompany = (facts: Partial<Proof & { kind: 'company' }>) =>
    verify({ kind: 'company', id: company, subscriberId: ID, timestamp: NOW, ...facts });
  const ofContext = (facts: Partial<Proof & { kind: 'context' }>) =>
    verify({ kind: 'context', id: context, subscriberId: ID, timestamp: NOW, ...facts });

  it('takes a company proof as the pair of member and company', () => {
    expect(ofCompany({ hash: companyHash })).toMatchObject({ kind: 'company', id: company, grade: 'fresh', form: 'v2' });
    expect(ofCompany({ hash: companyHash, subscriberId: 'somebody-else' }).reason).toBe('mismatch');
    expect(ofCompany({ hash: lines('v2:company', PUBLIC_KEY, NOW, company, ID) }).reason).toBe('mismatch');
    expect(ofCompany({ hash: lines('v2:company', PUBLIC_KEY, NOW, company) }).reason).toBe('mismatch');
  });

  it('takes the traits of a company', () => {
    const traits = { mrr: 5 };
    const hash = lines('v2:company', PUBLIC_KEY, NOW, ID, company, sha256('{"mrr":5}'));
    expect(ofCompany({ hash, traits })).toMatchObject({ grade: 'traits', traits });
  });

  it('takes the plain company hash at grade static only', () => {
    expect(ofCompany({ hash: hexOf(company) })).toMatchObject({ grade: 'static', form: 'plain' });
    expect(ofCompany({ hash: hexOf(`${company}.${NOW}`) }).reason).toBe('mismatch');
  });

  it('takes no proof of one kind for another in v2', () => {
    const user = lines('v2:subscriber', PUBLIC_KEY, NOW, company);
    expect(verify({ kind: 'subscriber', id: company, hash: user, timestamp: NOW }).reason).toBe('valid');
    expect(ofCompany({ hash: user }).reason).toBe('mismatch');
    expect(verify({ kind: 'subscriber', id: company, hash: companyHash, timestamp: NOW }).reason).toBe('mismatch');
    expect(ofContext({ hash: lines('v2:context', PUBLIC_KEY, NOW, ID, sha256(context)) })).toMatchObject({
      kind: 'context',
      grade: 'fresh',
    });
    expect(ofContext({ hash: lines('v2:context', PUBLIC_KEY, NOW, 'other', sha256(context)) }).reason).toBe('mismatch');
  });

  it('keeps a context hash from acting as a person or a company', () => {
    expect(ofContext({ hash: hexOf(context), timestamp: undefined })).toMatchObject({ kind: 'context', grade: 'static' });
    for (const id of [context, ` ${context}`, '{}']) {
      expect(reasonOf(hexOf(id), id)).toBe('plain_form_refused');
      expect(ofCompany({ id, hash: hexOf(id) })).toMatchObject({ reason: 'plain_form_refused', keyId: 'key-0' });
      const v2 = lines('v2:subscriber', PUBLIC_KEY, NOW, id);
      expect(verify({ kind: 'subscriber', id, hash: v2, timestamp: NOW }).reason).toBe('valid');
    }
    for (const id of ['[1]', '7', 'null', '"x"', '{', '{a}']) expect(reasonOf(hexOf(id), id)).toBe('valid');
  });

  it('looks at both ids of a pair, and at the context, before any crypto', () => {
    expect(ofCompany({ hash: companyHash, subscriberId: 5 }).reason).toBe('id_not_string');
    expect(ofCompany({ hash: companyHash, subscriberId: undefined }).reason).toBe('id_not_string');
    expect(ofCompany({ hash: companyHash, subscriberId: '' }).reason).toBe('id_invalid');
    expect(ofCompany({ hash: companyHash, id: 'a\nb' }).reason).toBe('id_invalid');
    expect(ofCompany({ hash: companyHash, id: 7 }).reason).toBe('id_not_string');
    for (const id of ['', '[]', 'x', '{"a":"\ud800"}', `{"a":"${'x'.repeat(16_400)}"}`, 'null'])
      expect(ofContext({ id, hash: HEX }).reason).toBe('id_invalid');
    const longest = `{"a":"${'x'.repeat(16_384 - '{"a":""}'.length)}"}`;
    expect(ofContext({ id: longest, hash: hexOf(longest) }).reason).toBe('valid');
    expect(ofContext({ id: longest.replace('x', 'xx'), hash: HEX }).reason).toBe('id_invalid');
  });
});

describe('verifyHash under random input', { timeout: 60_000 }, () => {
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

  it('has a verdict for everything and throws for nothing', { timeout: fuzzTimeoutMs(500) }, () => {
    fc.assert(
      fc.property(anything, anything, (id, hash) => {
        expect(REFUSAL_REASONS).toContain(reasonOf(hash, id ?? null));
      }),
      { numRuns: fuzzRuns(500) },
    );
  });

  it('accepts each spelling of the right MAC for every valid id', { timeout: fuzzTimeoutMs(500) }, () => {
    const ids = fc.string({ unit: 'binary', minLength: 1, maxLength: 255 }).filter(isSubscriberId);
    fc.assert(
      fc.property(ids, fc.string({ minLength: 1 }), fc.constantFrom(...spellings), (id, secret, spell) => {
        fc.pre(!id.trimStart().startsWith('{'));
        expect(reasonOf(spell(macOf(id, secret)), id, [randomBytes(8).toString('hex'), secret])).toBe('valid');
      }),
      { numRuns: fuzzRuns(500) },
    );
  });

  it('accepts a changed spelling only when it still denotes the same MAC in canonical form', { timeout: fuzzTimeoutMs(1_000) }, () => {
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
        const trimmed = edited.replace(/^[\t\n\v\f\r ]+|[\t\n\v\f\r ]+$/g, '');
        const accepted = canonical.has(trimmed) || trimmed.toLowerCase() === mac.toString('hex');
        expect(reasonOf(edited) === 'valid').toBe(accepted);
      }),
      { numRuns: fuzzRuns(1_000) },
    );
  });
});
