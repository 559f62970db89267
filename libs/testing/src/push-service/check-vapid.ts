import { createPublicKey, type KeyObject, verify } from 'node:crypto';

/** What is wrong with the Authorization of a push request. `malformed`: there is no token to look at. */
export interface VapidFault {
  readonly kind: 'malformed' | 'invalid' | 'other_key';
  readonly detail: string;
}

export interface VapidExpectation {
  /** Origin of the push service as the sender sees it: the audience of the token. */
  readonly audience: string;
  /** The key with which the device subscribed, base64url; undefined takes any. */
  readonly publicKey: string | undefined;
  readonly nowMs: number;
}

/** A token may not live longer (RFC 8292 section 2). */
const LIFE_SECONDS_MAX = 86_400;
const PUBLIC_KEY_BYTES = 65;
const SIGNATURE_BYTES = 64;

/** Tokens whose signature was found right: senders repeat them for hours (RFC 8292 section 5). */
const VERIFIED_TOKENS_MAX = 1_000;

/**
 * Checks `Authorization: vapid t=…, k=…` (RFC 8292) as a strict push service does: the signature, the audience, the expiry, the contact
 * and the key.
 */
export class VapidChecker {
  readonly #verified = new Set<string>();

  /** @returns undefined when nothing is wrong */
  check(authorization: string | undefined, expected: VapidExpectation): VapidFault | undefined {
    const parts = parseAuthorization(authorization);
    if (parts === undefined) return { kind: 'malformed', detail: 'Authorization is not of the form "vapid t=…, k=…".' };
    const [header, claims, signature] = parts.token.split('.').map(decode);
    if (header === undefined || claims === undefined || signature === undefined || parts.token.split('.').length !== 3) {
      return { kind: 'malformed', detail: 'The token is no JWT.' };
    }
    const detail = this.#signatureFault(parts, { header, signature }) ?? claimsFault(toObject(claims), expected);
    if (detail !== undefined) return { kind: 'invalid', detail };
    if (expected.publicKey !== undefined && parts.key !== expected.publicKey) {
      return { kind: 'other_key', detail: 'The device subscribed with another key.' };
    }
    return undefined;
  }

  #signatureFault(parts: VapidParts, { header, signature }: { header: Buffer; signature: Buffer }): string | undefined {
    const cacheKey = `${parts.key} ${parts.token}`;
    if (this.#verified.has(cacheKey)) return undefined;
    if (toObject(header)?.alg !== 'ES256') return 'The algorithm of the token is not ES256.';
    const key = toPublicKey(parts.key);
    if (key === undefined) return 'k is no public key on P-256.';
    const signed = Buffer.from(parts.token.slice(0, parts.token.lastIndexOf('.')));
    const isGenuine = signature.length === SIGNATURE_BYTES && verify('sha256', signed, { key, dsaEncoding: 'ieee-p1363' }, signature);
    if (!isGenuine) return 'The signature of the token does not match k.';
    if (this.#verified.size >= VERIFIED_TOKENS_MAX) this.#verified.clear();
    this.#verified.add(cacheKey);
    return undefined;
  }
}

/** The key of an Authorization header, base64url; undefined where there is none. */
export function vapidKeyOf(authorization: string | undefined): string | undefined {
  return parseAuthorization(authorization)?.key;
}

interface VapidParts {
  readonly token: string;
  readonly key: string;
}

function parseAuthorization(authorization: string | undefined): VapidParts | undefined {
  const parameters = /^vapid\s+(.+)$/i.exec(authorization ?? '')?.[1];
  if (parameters === undefined) return undefined;
  const named = new Map(parameters.split(',').map((parameter) => splitAt(parameter.trim(), parameter.trim().indexOf('='))));
  const [token, key] = [named.get('t'), named.get('k')];
  return token === undefined || key === undefined ? undefined : { token, key };
}

function splitAt(text: string, index: number): [string, string] {
  return [text.slice(0, index), text.slice(index + 1)];
}

/** Strict base64url without padding; other spellings of the same bytes are refused. */
function decode(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : undefined;
}

function toObject(json: Buffer): Record<string, unknown> | undefined {
  try {
    const parsed: unknown = JSON.parse(json.toString('utf8'));
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function toPublicKey(text: string): KeyObject | undefined {
  const point = decode(text);
  if (point?.length !== PUBLIC_KEY_BYTES || point[0] !== 4) return undefined;
  const [x, y] = [point.subarray(1, 33).toString('base64url'), point.subarray(33).toString('base64url')];
  try {
    return createPublicKey({ key: { kty: 'EC', crv: 'P-256', x, y }, format: 'jwk' });
  } catch {
    return undefined;
  }
}

function claimsFault(claims: Record<string, unknown> | undefined, { audience, nowMs }: VapidExpectation): string | undefined {
  if (claims === undefined) return 'The claims of the token are no JSON object.';
  const { aud, exp, sub } = claims;
  if (aud !== audience) return `aud is ${JSON.stringify(aud)} and should be ${audience}.`;
  if (typeof exp !== 'number') return 'exp is no number.';
  const leftSeconds = exp - nowMs / 1_000;
  if (leftSeconds <= 0) return 'The token has expired.';
  if (leftSeconds > LIFE_SECONDS_MAX) return 'The token expires more than 24 hours from now.';
  if (typeof sub !== 'string' || !/^(mailto:[^@\s]+@[^@\s]+|https:\/\/[^\s]+)$/.test(sub))
    return 'sub is neither a mailto: nor an https: address.';
  return undefined;
}
