import { createPublicKey, createSecretKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { calculateJwkThumbprint } from 'jose';
import type { TokenAlgorithm } from '../verify/proof.js';
import { isTokenKeyId } from '../verify/verify-token.js';

/** Longest PEM text, and longest text of one key of a JWKS. */
export const PUBLIC_KEY_TEXT_LENGTH_MAX = 8_192;

/** Shorter RSA keys are within reach of their breakers. @see RFC 7518 section 3.3 */
const RSA_BITS_MIN = 2_048;
const RSA_BITS_MAX = 8_192;
/** A public key in PEM form; whether it is one is seen when it is read. */
export const PUBLIC_PEM_PATTERN = /^\s*-----BEGIN (?:RSA )?PUBLIC KEY-----[A-Za-z0-9+/=\s]+-----END (?:RSA )?PUBLIC KEY-----\s*$/;
/** With an exponent of 1 every text is its own signature, and even ones have no signatures. */
const RSA_EXPONENT_MIN = 3n;
/** Points of Ed25519 of small order, without their sign bits: under them anybody makes signatures. Node reads them as keys. @see RFC 8032 section 7 */
const ED25519_SMALL_ORDER: ReadonlySet<string> = new Set([
  '00'.repeat(32),
  `01${'00'.repeat(31)}`,
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  `ec${'ff'.repeat(30)}7f`,
  `ed${'ff'.repeat(30)}7f`,
  `ee${'ff'.repeat(30)}7f`,
]);
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k'];

/** A public key that verifies tokens, in the form in which it is kept. */
export interface PublicTokenKey {
  readonly algorithm: Exclude<TokenAlgorithm, 'HS256'>;
  /** The `kid` that tokens name it by: the one it came with, or its thumbprint (RFC 7638). */
  readonly keyName: string;
  /** The public members as JSON. */
  readonly text: string;
}

/** A key, or what is wrong with what was sent. */
export type ParsedTokenKey = { readonly key: PublicTokenKey } | { readonly fault: string };

/** Reads a PEM text: SPKI or PKCS#1, never a private key and never a certificate, whose dates nobody would look at. */
export async function parsePublicPem(pem: string, wish: { keyName?: string; algorithm?: string } = {}): Promise<ParsedTokenKey> {
  if (pem.includes('PRIVATE KEY')) return { fault: 'is a private key: keep it, and send the public key that belongs to it' };
  if (/-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----/.test(pem))
    return { fault: 'is a certificate: send the public key in it (openssl x509 -pubkey -noout)' };
  if (pem.length > PUBLIC_KEY_TEXT_LENGTH_MAX || !PUBLIC_PEM_PATTERN.test(pem)) return { fault: 'must be a public key in PEM form' };
  return describe(() => createPublicKey(pem.trim()), wish);
}

/** Reads one member of a JWKS (RFC 7517). */
export async function parsePublicJwk(jwk: Readonly<Record<string, unknown>>): Promise<ParsedTokenKey> {
  if (PRIVATE_MEMBERS.some((member) => Object.hasOwn(jwk, member)))
    return { fault: 'holds a private or secret key: send public keys only' };
  if (jwk['use'] !== undefined && jwk['use'] !== 'sig') return { fault: 'is not meant for signatures (use)' };
  const { kid, alg, key_ops: operations } = jwk;
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify')))
    return { fault: 'is not meant for signatures (key_ops)' };
  if (kid !== undefined && typeof kid !== 'string') return { fault: 'has a kid that is not a string' };
  if (alg !== undefined && typeof alg !== 'string') return { fault: 'has an alg that is not a string' };
  const wish = { ...(kid === undefined ? {} : { keyName: kid }), ...(alg === undefined ? {} : { algorithm: alg }) };
  return describe(() => createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' }), wish);
}

/** The key behind what is kept: public members as JSON, or the text of a shared secret. */
export function openTokenKey(algorithm: TokenAlgorithm, text: string): KeyObject {
  if (algorithm === 'HS256') return createSecretKey(text, 'utf8');
  return createPublicKey({ key: JSON.parse(text) as JsonWebKey, format: 'jwk' });
}

async function describe(open: () => KeyObject, wish: { keyName?: string; algorithm?: string }): Promise<ParsedTokenKey> {
  let key: KeyObject;
  try {
    key = open();
  } catch {
    return { fault: 'cannot be read as a public key' };
  }
  const algorithm = algorithmOf(key);
  if (algorithm === undefined)
    return {
      fault: `must be RSA of ${RSA_BITS_MIN} to ${RSA_BITS_MAX} bits with an odd exponent above 1, EC on P-256, or Ed25519 with a point of full order`,
    };
  if (wish.algorithm !== undefined && wish.algorithm !== algorithm)
    return { fault: `is a key for ${algorithm}, not for ${wish.algorithm}` };
  const jwk = key.export({ format: 'jwk' });
  const keyName = wish.keyName ?? (await calculateJwkThumbprint(jwk));
  if (!isTokenKeyId(keyName)) return { fault: 'must have a kid of 1 to 128 letters, digits and . _ ~ -' };
  return { key: { algorithm, keyName, text: JSON.stringify(jwk) } };
}

function algorithmOf(key: KeyObject): PublicTokenKey['algorithm'] | undefined {
  const { modulusLength = 0, publicExponent = 0n, namedCurve } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === 'rsa') {
    const isStrong = modulusLength >= RSA_BITS_MIN && modulusLength <= RSA_BITS_MAX;
    return isStrong && publicExponent >= RSA_EXPONENT_MIN && publicExponent % 2n === 1n ? 'RS256' : undefined;
  }
  if (key.asymmetricKeyType === 'ec') return namedCurve === 'prime256v1' ? 'ES256' : undefined;
  return key.asymmetricKeyType === 'ed25519' && !isOfSmallOrder(key) ? 'EdDSA' : undefined;
}

function isOfSmallOrder(ed25519: KeyObject): boolean {
  const point = Buffer.from(ed25519.export({ format: 'jwk' }).x ?? '', 'base64url');
  const withoutSign = Buffer.concat([point.subarray(0, -1), Buffer.of((point.at(-1) ?? 0) & 0x7f)]);
  return ED25519_SMALL_ORDER.has(withoutSign.toString('hex'));
}
