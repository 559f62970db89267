import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { calculateJwkThumbprint } from 'jose';
import { describe, expect, it } from 'vitest';
import { openTokenKey, type ParsedTokenKey, parsePublicJwk, parsePublicPem } from './token-key.js';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ed = generateKeyPairSync('ed25519');
const pemOf = (key: KeyObject, type: 'spki' | 'pkcs1' = 'spki') => key.export({ type, format: 'pem' } as never) as unknown as string;
const jwkOf = (key: KeyObject) => key.export({ format: 'jwk' }) as Record<string, unknown>;
const keyOf = (parsed: ParsedTokenKey) => ('key' in parsed ? parsed.key : parsed.fault);
const faultOf = (parsed: ParsedTokenKey) => ('fault' in parsed ? parsed.fault : undefined);

describe('parsePublicPem', () => {
  it('reads the three kinds of keys and names them by their thumbprint', async () => {
    for (const [pair, algorithm] of [
      [rsa, 'RS256'],
      [ec, 'ES256'],
      [ed, 'EdDSA'],
    ] as const) {
      const key = keyOf(await parsePublicPem(pemOf(pair.publicKey)));
      expect(key).toMatchObject({ algorithm, keyName: await calculateJwkThumbprint(jwkOf(pair.publicKey) as never) });
      expect(typeof key === 'object' && openTokenKey(algorithm, key.text).equals(pair.publicKey)).toBe(true);
    }
  });

  it('takes PKCS#1, a name and the algorithm that fits', async () => {
    expect(keyOf(await parsePublicPem(pemOf(rsa.publicKey, 'pkcs1'), { keyName: 'mine', algorithm: 'RS256' }))).toMatchObject({
      keyName: 'mine',
    });
    expect(faultOf(await parsePublicPem(pemOf(rsa.publicKey), { algorithm: 'ES256' }))).toContain('RS256');
    expect(faultOf(await parsePublicPem(pemOf(rsa.publicKey), { keyName: '../x' }))).toContain('kid');
  });

  it('takes the text with white space around it, as files and forms have it', async () => {
    const text = ` \r\n ${pemOf(ec.publicKey).replaceAll('\n', '\r\n')} \n`;
    expect(keyOf(await parsePublicPem(text))).toMatchObject({ algorithm: 'ES256' });
  });

  it('refuses private keys, certificates, weak keys, other curves and everything else', async () => {
    const weak = generateKeyPairSync('rsa', { modulusLength: 1_024 }).publicKey;
    const other = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey;
    const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey;
    expect(faultOf(await parsePublicPem(rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string))).toContain('private key');
    for (const key of [weak, other, p384, generateKeyPairSync('x25519').publicKey]) {
      expect(faultOf(await parsePublicPem(pemOf(key)))).toContain('must be RSA');
    }
    const pem = pemOf(ec.publicKey);
    const texts = ['', 'x', pem.replaceAll('PUBLIC', 'PUBLICK'), `${pem}${'\n'.repeat(9_000)}`];
    const certificate = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
    expect(faultOf(await parsePublicPem(certificate))).toContain('certificate');
    for (const text of texts) expect(faultOf(await parsePublicPem(text))).toBe('must be a public key in PEM form');
    expect(faultOf(await parsePublicPem('-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n'))).toContain('cannot be read');
  });
});

describe('parsePublicJwk', () => {
  it('reads the members of a JWKS document with their names', async () => {
    expect(keyOf(await parsePublicJwk({ ...jwkOf(ec.publicKey), kid: 'a', use: 'sig', alg: 'ES256' }))).toMatchObject({
      algorithm: 'ES256',
      keyName: 'a',
    });
    const key = keyOf(await parsePublicJwk({ ...jwkOf(ed.publicKey), x5u: 'https://evil.example/', extra: 1 }));
    expect(typeof key === 'object' && JSON.parse(key.text)).toEqual(jwkOf(ed.publicKey));
  });

  it('refuses private keys, shared secrets, other uses, and algorithms that do not fit', async () => {
    expect(faultOf(await parsePublicJwk(jwkOf(ec.privateKey)))).toContain('private or secret');
    expect(faultOf(await parsePublicJwk({ kty: 'oct', k: 'AAAA' }))).toContain('private or secret');
    expect(faultOf(await parsePublicJwk({ ...jwkOf(ec.publicKey), use: 'enc' }))).toContain('use');
    expect(faultOf(await parsePublicJwk({ ...jwkOf(ec.publicKey), alg: 'HS256' }))).toContain('ES256');
    expect(faultOf(await parsePublicJwk({ ...jwkOf(ec.publicKey), alg: 5 }))).toContain('alg');
    expect(faultOf(await parsePublicJwk({ ...jwkOf(ec.publicKey), kid: 5 }))).toContain('kid');
    expect(faultOf(await parsePublicJwk({ ...jwkOf(ec.publicKey), kid: '' }))).toContain('kid');
    for (const operations of [['encrypt'], ['sign'], [], 'verify', null]) {
      expect(faultOf(await parsePublicJwk({ ...jwkOf(ec.publicKey), key_ops: operations }))).toContain('key_ops');
    }
    expect(faultOf(await parsePublicJwk({ ...jwkOf(ec.publicKey), key_ops: ['verify'] }))).toBeUndefined();
    for (const exponent of ['AQ', 'Ag', 'AQAA']) {
      expect(faultOf(await parsePublicJwk({ ...jwkOf(rsa.publicKey), e: exponent }))).toMatch(/exponent|cannot be read/);
    }
    const [zero, one, minusOne] = [
      Buffer.alloc(32),
      Buffer.concat([Buffer.of(1), Buffer.alloc(31)]),
      Buffer.alloc(32, 255).fill(0xec, 0, 1),
    ];
    for (const point of [zero, one, minusOne, Buffer.concat([zero.subarray(1), Buffer.of(0x80)])]) {
      expect(faultOf(await parsePublicJwk({ kty: 'OKP', crv: 'Ed25519', x: point.toString('base64url') }))).toContain('full order');
    }
    for (const jwk of [{}, { kty: 'RSA' }, { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' }, { kty: 5 }, { kty: 'oct' }]) {
      expect(faultOf(await parsePublicJwk(jwk))).toContain('cannot be read');
    }
  });
});
