import { createPrivateKey, type KeyObject, sign } from 'node:crypto';

/** An environment's VAPID key pair (RFC 8292): a P-256 key that is never used for encryption. */
export interface VapidKeyPair {
  readonly id: string;
  /** Uncompressed point, 65 bytes. */
  readonly publicKey: Buffer;
  /** PKCS #8 in DER. */
  readonly privateKeyDer: Buffer;
}

/** Tokens expire after 12 hours (RFC 8292 allows 24) and are renewed at half their life, so that no request carries one near its end. */
export const VAPID_TOKEN_LIFE_SECONDS = 12 * 3_600;

/** Cached tokens: one per key and push service origin; WNS has many origins. */
export const VAPID_TOKENS_MAX = 10_000;

/** Parsed private keys kept in memory: one per environment. */
const VAPID_KEYS_MAX = 10_000;

/** A refused token that is younger was not refused for its age: another signature would be refused alike. */
export const VAPID_TOKEN_FRESH_MS = 60_000;

const JWT_HEADER = Buffer.from('{"typ":"JWT","alg":"ES256"}').toString('base64url');

interface CachedToken {
  readonly authorization: string;
  readonly signedAtMs: number;
}

/**
 * Signs the `Authorization` header of a push request once per key and push service origin and uses it again until half of its life is
 * over: a signature costs more than the encryption of a message, and RFC 8292 section 5 asks senders to repeat tokens.
 */
export class VapidSigner {
  private readonly tokens = new Map<string, CachedToken>();
  private readonly keys = new Map<string, KeyObject>();

  /** @param subject contact of the sender, `mailto:` or `https:`; Apple and Mozilla refuse requests without it (RFC 8292 section 2.1). */
  constructor(private readonly subject: string) {}

  /**
   * The header's value, `vapid t=…, k=…` (RFC 8292 section 3).
   * @param origin of the endpoint: the token's audience
   */
  authorizationFor(pair: VapidKeyPair, origin: string, nowMs: number): string {
    const cacheKey = `${pair.id} ${origin}`;
    const cached = this.tokens.get(cacheKey);
    if (cached !== undefined && nowMs < cached.signedAtMs + (VAPID_TOKEN_LIFE_SECONDS / 2) * 1_000) return cached.authorization;
    const authorization = this.signToken(pair, origin, nowMs);
    this.tokens.delete(cacheKey);
    makeRoom(this.tokens, VAPID_TOKENS_MAX);
    this.tokens.set(cacheKey, { authorization, signedAtMs: nowMs });
    return authorization;
  }

  /**
   * Another header after a push service refused one: the newer one if there is one already, else a new one. `undefined` when the
   * refused one was just signed: then the fault is not in the token.
   */
  renew(pair: VapidKeyPair, refused: { origin: string; authorization: string }, nowMs: number): string | undefined {
    const cacheKey = `${pair.id} ${refused.origin}`;
    const cached = this.tokens.get(cacheKey);
    if (cached !== undefined && cached.authorization === refused.authorization) {
      if (nowMs < cached.signedAtMs + VAPID_TOKEN_FRESH_MS) return undefined;
      this.tokens.delete(cacheKey);
    }
    return this.authorizationFor(pair, refused.origin, nowMs);
  }

  private signToken(pair: VapidKeyPair, origin: string, nowMs: number): string {
    const claims = { aud: origin, exp: Math.floor(nowMs / 1_000) + VAPID_TOKEN_LIFE_SECONDS, sub: this.subject };
    const signed = `${JWT_HEADER}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`;
    const signature = sign('sha256', Buffer.from(signed), { key: this.keyObject(pair), dsaEncoding: 'ieee-p1363' });
    return `vapid t=${signed}.${signature.toString('base64url')}, k=${pair.publicKey.toString('base64url')}`;
  }

  private keyObject(pair: VapidKeyPair): KeyObject {
    const known = this.keys.get(pair.id);
    if (known !== undefined) return known;
    const key = createPrivateKey({ key: pair.privateKeyDer, format: 'der', type: 'pkcs8' });
    makeRoom(this.keys, VAPID_KEYS_MAX);
    this.keys.set(pair.id, key);
    return key;
  }
}

/** Drops the oldest entry of a full map. */
function makeRoom(map: Map<string, unknown>, entriesMax: number): void {
  if (map.size < entriesMax) return;
  const oldest = map.keys().next();
  if (oldest.done !== true) map.delete(oldest.value);
}
