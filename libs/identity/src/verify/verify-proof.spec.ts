import { createHmac, createSecretKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import * as fc from 'fast-check';
import { type JWTPayload, SignJWT, UnsecuredJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { type Proof, PROOF_SURFACES, REFUSAL_REASONS, type TokenAlgorithm, type TokenKey, type VerifiedSurface } from './proof.js';
import { fuzzRuns, fuzzTimeoutMs } from '#testing';
import { verifyProof } from './verify-proof.js';
import { PROOF_TOKEN_LENGTH_MAX } from './verify-token.js';

const NOW = 1_795_300_000;
const PUBLIC_KEY = 'pk_live_test';
const SECRET = 'whk_test_4f3c2b1a09e8d7c6b5a4938271605f4e';
const SIGNERS: Readonly<Record<TokenAlgorithm, { readonly sign: KeyObject; readonly verify: KeyObject }>> = {
  HS256: bothOf(createSecretKey(Buffer.alloc(32, 5))),
  RS256: pair(generateKeyPairSync('rsa', { modulusLength: 2_048 })),
  ES256: pair(generateKeyPairSync('ec', { namedCurve: 'P-256' })),
  EdDSA: pair(generateKeyPairSync('ed25519')),
};
const ALGORITHMS = Object.keys(SIGNERS) as TokenAlgorithm[];

function bothOf(key: KeyObject) {
  return { sign: key, verify: key };
}

function pair({ privateKey, publicKey }: { privateKey: KeyObject; publicKey: KeyObject }) {
  return { sign: privateKey, verify: publicKey };
}

const keyOf = (algorithm: TokenAlgorithm): TokenKey => ({
  id: `id-${algorithm}`,
  kid: `kid-${algorithm}`,
  algorithm,
  key: SIGNERS[algorithm].verify,
});
const allKeys = ALGORITHMS.map(keyOf);
const claims = (facts: JWTPayload = {}): JWTPayload => ({
  sub: 'user-123',
  iss: PUBLIC_KEY,
  aud: 'inbox',
  iat: NOW,
  exp: NOW + 600,
  ...facts,
});

interface Signing {
  readonly algorithm?: TokenAlgorithm;
  readonly payload?: JWTPayload;
  readonly header?: Record<string, unknown>;
  readonly key?: KeyObject;
}

function sign({ algorithm = 'ES256', payload = claims(), header = {}, key = SIGNERS[algorithm].sign }: Signing = {}): Promise<string> {
  return new SignJWT(payload).setProtectedHeader({ alg: algorithm, ...header }).sign(key);
}

function verify(
  facts: Partial<Proof & { kind: 'subscriber' }>,
  options: { keys?: readonly TokenKey[]; surface?: VerifiedSurface; now?: number } = {},
) {
  const hashKeys = [{ id: 'hash-key', key: createSecretKey(SECRET, 'utf8') }];
  const environment = { publicKey: PUBLIC_KEY, hashKeys, tokenKeys: options.keys ?? allKeys };
  return verifyProof(environment, options.surface ?? 'session', { kind: 'subscriber', ...facts }, options.now ?? NOW);
}

/** A token made by hand, for what a library refuses to make. */
function handmade(header: unknown, payload: unknown, key: KeyObject = SIGNERS.HS256.sign): string {
  const text = [header, payload]
    .map((part) => Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url'))
    .join('.');
  return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`;
}

describe('verifyProof with tokens', () => {
  it.each(ALGORITHMS)('accepts a token by a key for %s, named or not', async (algorithm) => {
    for (const header of [{}, { kid: `kid-${algorithm}` }]) {
      expect(await verify({ token: await sign({ algorithm, header }) })).toEqual({
        valid: true,
        reason: 'valid',
        kind: 'subscriber',
        id: 'user-123',
        grade: 'fresh',
        form: 'token',
        keyId: `id-${algorithm}`,
        issuedAtSeconds: NOW,
        timestampUnsigned: false,
        surfaces: ['inbox'],
      });
    }
  });

  it('refuses a token by a key that is not registered, and everything without keys', async () => {
    const { sign: stranger } = pair(generateKeyPairSync('ec', { namedCurve: 'P-256' }));
    expect((await verify({ token: await sign({ key: stranger }) })).reason).toBe('mismatch');
    expect((await verify({ token: await sign({ header: { kid: 'unknown' } }) })).reason).toBe('mismatch');
    expect((await verify({ token: await sign() }, { keys: [] })).reason).toBe('mismatch');
    const { id: _id, ...decoy } = keyOf('ES256');
    expect((await verify({ token: await sign() }, { keys: [decoy] })).reason).toBe('mismatch');
  });

  it('finds the signer among several keys of one algorithm, wherever it stands', async () => {
    const other = { ...keyOf('ES256'), id: 'other', kid: 'other', key: pair(generateKeyPairSync('ec', { namedCurve: 'P-256' })).verify };
    for (const keys of [
      [keyOf('ES256'), other],
      [other, keyOf('ES256')],
    ]) {
      expect(await verify({ token: await sign() }, { keys })).toMatchObject({ valid: true, keyId: 'id-ES256' });
    }
    expect((await verify({ token: await sign({ header: { kid: 'other' } }) }, { keys: [other, keyOf('ES256')] })).reason).toBe('mismatch');
  });

  it('takes the algorithm from the key and never from the header', async () => {
    const publicPem = SIGNERS.RS256.verify.export({ type: 'spki', format: 'pem' });
    const confused = handmade({ alg: 'HS256', kid: 'kid-RS256' }, claims(), createSecretKey(Buffer.from(publicPem)));
    expect((await verify({ token: confused })).reason).toBe('alg_not_allowed');
    const unnamed = handmade({ alg: 'HS256' }, claims(), createSecretKey(Buffer.from(publicPem)));
    expect((await verify({ token: unnamed }, { keys: [keyOf('RS256')] })).reason).toBe('alg_not_allowed');
    expect((await verify({ token: unnamed })).reason).toBe('mismatch');
    const der = SIGNERS.RS256.verify.export({ type: 'spki', format: 'der' });
    expect((await verify({ token: handmade({ alg: 'HS256' }, claims(), createSecretKey(der)) })).reason).toBe('mismatch');
    expect((await verify({ token: await sign({ algorithm: 'ES256', header: { kid: 'kid-RS256' } }) })).reason).toBe('alg_not_allowed');
  });

  it('refuses unsecured tokens and algorithms that it does not know', async () => {
    expect((await verify({ token: new UnsecuredJWT(claims()).encode() })).reason).toBe('alg_not_allowed');
    for (const alg of ['none', 'None', 'HS512', 'PS256', 'RS1', '', 5, null, ['HS256'], undefined]) {
      expect((await verify({ token: handmade({ alg }, claims()) })).reason).toBe('alg_not_allowed');
    }
  });

  it.each(['jku', 'jwk', 'x5u', 'x5c', 'x5t', 'x5t#S256', 'crit', 'b64', 'zip', 'enc'])('refuses the header member %s', async (member) => {
    const verdict = await verify({ token: handmade({ alg: 'HS256', [member]: null }, claims()) });
    expect(verdict).toMatchObject({ reason: 'malformed', detail: expect.stringContaining(`"${member}"`) });
  });

  it('refuses a kid that is not a plain name', async () => {
    const kids = [
      '../../etc/passwd',
      'a/b',
      'a\\b',
      "x' OR '1'='1",
      '',
      '..',
      'a..b',
      'x'.repeat(129),
      5,
      null,
      ['kid-HS256'],
      { a: 1 },
      'a\0',
      'ä',
      'a b',
      'kid\n',
    ];
    for (const kid of kids)
      expect([kid, (await verify({ token: handmade({ alg: 'HS256', kid }, claims()) })).reason]).toEqual([kid, 'malformed']);
    const longest = 'x'.repeat(128);
    const named = { ...keyOf('HS256'), kid: longest };
    expect((await verify({ token: handmade({ alg: 'HS256', kid: longest }, claims()) }, { keys: [named] })).reason).toBe('valid');
    expect(
      (await verify({ token: handmade({ alg: 'HS256', kid: 'a.b~c_d-e' }, claims()) }, { keys: [{ ...named, kid: 'a.b~c_d-e' }] })).reason,
    ).toBe('valid');
  });

  it('refuses everything that is not three canonical parts', async () => {
    const token = await sign({ algorithm: 'HS256' });
    const [header = '', payload = '', signature = ''] = token.split('.');
    const last = signature.slice(-1);
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const sameBytes = `${header}.${payload}.${signature.slice(0, -1)}${alphabet.charAt(alphabet.indexOf(last) + 1)}`;
    const bad = [
      sameBytes,
      `${token}=`,
      `${token}.`,
      `.${token}`,
      `${token} `,
      ` ${token}`,
      `${header}.${payload}`,
      header,
      '..',
      'a.b',
      `${token}.${signature}`,
    ];
    bad.push(`${header}..${signature}`, `.${payload}.${signature}`, `${header}.${payload}.`, token.replace('.', '+.'), `${token}\n`);
    for (const text of bad) expect([text, (await verify({ token: text })).reason]).toEqual([text, 'malformed']);
    for (const other of [5, true, {}, [token], { length: 10 }]) expect((await verify({ token: other })).reason).toBe('malformed');
    for (const head of ['[]', 'null', '"x"', '5', '{', '\ufeff{}'])
      expect((await verify({ token: handmade(head, claims()) })).reason).toBe('malformed');
    const invalidUtf8 = Buffer.from([0x7b, 0xff, 0x7d]).toString('base64url');
    expect((await verify({ token: `${invalidUtf8}.${payload}.${signature}` })).reason).toBe('malformed');
  });

  it('takes for unsecured what has three parts, no signature and no algorithm', async () => {
    const none = Buffer.from('{"alg":"none"}').toString('base64url');
    const reasonOf = async (token: string) => (await verify({ token })).reason;
    expect(await reasonOf(`${none}.e30.`)).toBe('alg_not_allowed');
    expect(await reasonOf(`${none}.e30..e30`)).toBe('malformed');
    expect(await reasonOf(`${none}.e30.!`)).toBe('malformed');
    expect(await reasonOf(`${Buffer.from('{"alg":"HS256"}').toString('base64url')}.e30.`)).toBe('malformed');
  });

  it('refuses a header behind a byte order mark, whoever signed it', async () => {
    expect((await verify({ token: handmade('\ufeff{"alg":"HS256"}', claims()) })).reason).toBe('malformed');
    expect((await verify({ token: handmade('{"alg":"HS256"}', claims()) })).reason).toBe('valid');
  });

  it('says with each refusal what is wrong', async () => {
    const hs256 = async (payload: JWTPayload) => verify({ token: await sign({ algorithm: 'HS256', payload: claims(payload) }) });
    const none = Buffer.from('{"alg":"none"}').toString('base64url');
    const verdicts = [
      [await verify({ token: 5 }), 'malformed', 'bounded length'],
      [await verify({ token: `${none}.e30.` }), 'alg_not_allowed', 'Unsecured'],
      [await verify({ token: 'a.b' }), 'malformed', 'three base64url parts'],
      [await verify({ token: handmade('[]', claims()) }), 'malformed', 'header'],
      [await verify({ token: handmade({ alg: 'HS512' }, claims()) }), 'alg_not_allowed', 'HS256, RS256, ES256, EdDSA'],
      [await verify({ token: handmade({ alg: 'HS256', kid: 5 }, claims()) }), 'malformed', '"kid"'],
      [await verify({ token: await sign() }, { keys: [keyOf('RS256')] }), 'alg_not_allowed', 'that of its key'],
      [await verify({ token: await sign(), hash: 'x', id: 'user-123' }), 'malformed', 'not both'],
      [await hs256({ sub: 5 as unknown as string }), 'id_not_string', '"sub"'],
      [await hs256({ iss: 'pk_live_other' }), 'tenant_mismatch', '"iss"'],
      [await hs256({ aud: 'x' }), 'scope_missing', 'inbox, preferences, push, identify, track'],
      [await hs256({ exp: undefined }), 'malformed', '"exp"'],
      [await hs256({ nbf: 'x' as unknown as number }), 'malformed', 'numbers of seconds'],
      [await hs256({ traits: 'pro' }), 'malformed', '"traits"'],
      [await verify({ id: 'user-123', hash: 'x' }), 'malformed', '32 bytes'],
      [await verify({ id: 'user-123', hash: 'ab'.repeat(32), traits: 'pro' }), 'malformed', 'traits'],
      [await verify({ id: 'user-123', hash: 'ab'.repeat(32), timestamp: true }), 'timestamp_invalid', 'whole seconds'],
    ] as const;
    for (const [verdict, reason, detail] of verdicts)
      expect(verdict).toMatchObject({ valid: false, kind: 'subscriber', reason, detail: expect.stringContaining(detail) });
  });

  it('looks at 4,096 characters and not at one more', async () => {
    const padded = (length: number) => handmade({ alg: 'HS256' }, claims({ pad: 'x'.repeat(length) }));
    const fits = Array.from({ length: 200 }, (_, index) => padded(2_800 + index)).filter((text) => text.length <= PROOF_TOKEN_LENGTH_MAX);
    const longest = fits.at(-1) ?? '';
    expect(longest.length).toBeGreaterThan(PROOF_TOKEN_LENGTH_MAX - 4);
    expect((await verify({ token: longest })).reason).toBe('valid');
    expect((await verify({ token: padded(3_000) })).reason).toBe('malformed');
  });

  it('believes no claim of a token whose signature is wrong', async () => {
    const token = await sign({ payload: claims({ exp: NOW - 10_000, iss: 'pk_live_other', sub: 5 as unknown as string }) });
    expect((await verify({ token: `${token.slice(0, -4)}AAAA` })).reason).toBe('mismatch');
  });

  it('refuses a payload that is no object', async () => {
    for (const payload of ['[]', 'null', '"x"', 'x'])
      expect((await verify({ token: handmade({ alg: 'HS256' }, payload) })).reason).toBe('id_not_string');
  });

  it('needs a subject that is a string, and the one that was claimed', async () => {
    const of = async (sub: unknown, id?: unknown) =>
      (await verify({ token: await sign({ payload: claims({ sub: sub as string }) }), id })).reason;
    for (const sub of [undefined, 5, null, ['user-123'], { a: 1 }]) expect(await of(sub)).toBe('id_not_string');
    for (const sub of ['', 'x'.repeat(256), 'a\n', '\u0080']) expect(await of(sub)).toBe('id_invalid');
    expect([await of('user-123', 'user-123'), await of('user-123', 'user-124'), await of('user-123', 'USER-123')]).toEqual([
      'valid',
      'mismatch',
      'mismatch',
    ]);
    expect([await of('user-123', 5), await of('user-123', null), await of('user-123', '')]).toEqual([
      'id_not_string',
      'id_not_string',
      'id_invalid',
    ]);
  });

  it('needs the environment as issuer', async () => {
    for (const iss of [undefined, 'pk_live_other', '', 5, [PUBLIC_KEY]]) {
      expect(await verify({ token: await sign({ payload: claims({ iss: iss as string }) }) })).toMatchObject({
        reason: 'tenant_mismatch',
        keyId: 'id-ES256',
      });
    }
  });

  it('is good for the surfaces of its audience', async () => {
    const of = async (aud: unknown, surface: VerifiedSurface) =>
      (await verify({ token: await sign({ payload: claims({ aud: aud as string }) }) }, { surface })).reason;
    for (const surface of PROOF_SURFACES)
      expect([await of(surface, surface), await of([surface, 'x'], surface)]).toEqual(['valid', 'valid']);
    expect([await of('push', 'inbox'), await of(['push', 'track'], 'inbox'), await of('push', 'session')]).toEqual([
      'scope_missing',
      'scope_missing',
      'valid',
    ]);
    for (const aud of [undefined, 'session', '', [], 5, { inbox: true }, 'inbox push'])
      expect(await of(aud, 'session')).toBe('scope_missing');
    const verdict = await verify({ token: await sign({ payload: claims({ aud: ['track', 'push'] }) }) });
    expect(verdict).toMatchObject({ surfaces: ['push', 'track'] });
    expect(await verify({ token: await sign() }, { surface: 'push' })).toMatchObject({
      reason: 'scope_missing',
      keyId: 'id-ES256',
      detail: expect.stringContaining('push'),
    });
  });

  it('needs an expiry and keeps the times with a minute of skew', async () => {
    const at = async (facts: JWTPayload, now = NOW) => (await verify({ token: await sign({ payload: claims(facts) }) }, { now })).reason;
    expect([await at({}, NOW + 659), await at({}, NOW + 660)]).toEqual(['valid', 'expired']);
    expect([await at({ nbf: NOW + 60 }), await at({ nbf: NOW + 61 })]).toEqual(['valid', 'not_yet_valid']);
    expect([await at({ iat: NOW + 60 }), await at({ iat: NOW + 61 })]).toEqual(['valid', 'not_yet_valid']);
    expect(await at({ nbf: NOW + 61, iat: NOW })).toBe('not_yet_valid');
    expect([await at({ exp: 0 }), await at({ nbf: 0 }), await at({ iat: 0 })]).toEqual(['expired', 'valid', 'valid']);
    for (const exp of [undefined, 'never', null, -1, true]) expect(await at({ exp: exp as number })).toBe('malformed');
    for (const bad of ['x', null, -5, true]) {
      expect(await at({ nbf: bad as unknown as number })).toBe('malformed');
      expect(await at({ iat: bad as unknown as number })).toBe('malformed');
    }
    expect(
      (await verify({ token: handmade({ alg: 'HS256' }, `{"sub":"u","iss":"${PUBLIC_KEY}","aud":"inbox","exp":1e999}`) })).reason,
    ).toBe('malformed');
  });

  it('is fresh for 300 seconds after its making, and static without or later', async () => {
    const gradeAt = async (facts: JWTPayload, now = NOW) => {
      const verdict = await verify({ token: await sign({ payload: claims(facts) }) }, { now });
      return verdict.valid ? verdict.grade : verdict.reason;
    };
    expect([await gradeAt({}, NOW + 300), await gradeAt({}, NOW + 301), await gradeAt({ iat: undefined })]).toEqual([
      'fresh',
      'static',
      'static',
    ]);
    expect([await gradeAt({ traits: { plan: 'pro' } }), await gradeAt({ traits: { plan: 'pro' } }, NOW + 301)]).toEqual([
      'traits',
      'static',
    ]);
    expect(await gradeAt({ traits: {}, iat: undefined })).toBe('static');
    expect(await gradeAt({ traits: 'pro' })).toBe('malformed');
    expect(await verify({ token: await sign({ payload: claims({ traits: { plan: 'pro' } }) }) })).toMatchObject({
      traits: { plan: 'pro' },
    });
    const old = await verify({ token: await sign({ payload: claims({ traits: { plan: 'pro' } }) }) }, { now: NOW + 301 });
    expect(old).not.toHaveProperty('traits');
    expect(await verify({ token: await sign({ payload: claims({ iat: NOW - 0.5 }) }) })).toMatchObject({ issuedAtSeconds: NOW - 1 });
    expect(await verify({ token: await sign({ payload: claims({ iat: undefined }) }) })).not.toHaveProperty('issuedAtSeconds');
  });
});

describe('verifyProof', () => {
  const hash = createHmac('sha256', SECRET).update('user-123').digest('hex');

  it('takes a hash for every surface', async () => {
    for (const surface of [...PROOF_SURFACES, 'session'] as const)
      expect((await verify({ id: 'user-123', hash }, { surface })).reason).toBe('valid');
  });

  it('takes one proof, not two, and empty ones for none', async () => {
    const token = await sign();
    expect((await verify({ id: 'user-123', hash, token })).reason).toBe('malformed');
    for (const none of [undefined, null, '']) {
      expect(await verify({ id: 'user-123', hash, token: none })).toMatchObject({ valid: true, form: 'plain' });
      expect(await verify({ id: 'user-123', hash: none, token })).toMatchObject({ valid: true, form: 'token' });
      expect((await verify({ id: 'user-123', hash: none, token: none })).reason).toBe('missing');
    }
  });

  it('takes no token for a company or a context', async () => {
    const environment = { publicKey: PUBLIC_KEY, hashKeys: [], tokenKeys: allKeys };
    for (const kind of ['company', 'context'] as const) {
      const proof = { kind, id: '{}', subscriberId: 'user-123', token: await sign() } as Proof;
      expect((await verifyProof(environment, 'session', proof, NOW)).reason).toBe('missing');
    }
  });

  it('has a verdict for everything and throws for nothing', { timeout: fuzzTimeoutMs(200) }, async () => {
    const token = await sign({ algorithm: 'HS256' });
    const changed = fc
      .record({ at: fc.nat(token.length), remove: fc.nat(3), by: fc.string({ unit: 'binary', maxLength: 3 }) })
      .map(({ at, remove, by }) => token.slice(0, at) + by + token.slice(at + remove));
    const parts = fc.array(fc.base64String({ maxLength: 40 }), { minLength: 1, maxLength: 4 }).map((texts) => texts.join('.'));
    const header = fc.dictionary(fc.constantFrom('alg', 'kid', 'typ', 'crit', 'jku', 'x'), fc.jsonValue());
    const signed = fc.tuple(header, fc.jsonValue()).map(([head, payload]) => handmade(head, payload));
    const text = fc.oneof(fc.anything(), fc.string({ unit: 'binary', maxLength: 200 }), changed, parts, signed);
    const proofs = fc.record({
      kind: fc.constantFrom('subscriber' as const, 'company' as const, 'context' as const),
      id: text,
      hash: text,
      subscriberId: text,
      timestamp: text,
      traits: text,
      token: text,
    });
    const environment = {
      publicKey: PUBLIC_KEY,
      hashKeys: [{ id: 'a', key: createSecretKey(SECRET, 'utf8') }],
      tokenKeys: [keyOf('HS256')],
    };
    await fc.assert(
      fc.asyncProperty(proofs, fc.constantFrom(...PROOF_SURFACES, 'session'), async (proof, surface) => {
        const verdict = await verifyProof(environment, surface, proof, NOW);
        expect(REFUSAL_REASONS).toContain(verdict.reason);
      }),
      { numRuns: fuzzRuns(200) },
    );
  });
});
