import { hash, webcrypto } from 'node:crypto';
import { errors, jwtVerify, SignJWT } from 'jose';
import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { BelfryConfig } from '#config';
import { Clock } from '#contracts';
import { ExpiringCache, SecretBox } from '#tenancy';
import { identityConfig } from '../identity.config.js';
import { SessionExpiredError, SessionInvalidError } from '../identity.errors.js';
import { ADMITTED_GRADES } from '../policy/surface-policy.js';
import { type IssuedToken, type NewSession, type Session, SESSION_SCOPES, type TokenSession } from './session.js';

/** Life of one token. */
export const SESSION_TOKEN_SECONDS = 15 * 60;

/** Longest token that is looked at. An external id of 255 bytes makes about 900 characters. */
export const SESSION_TOKEN_LENGTH_MAX = 4_096;

const ALGORITHM = 'HS256';
const ISSUER = 'belfry';
const AUDIENCE = 'belfry:browser';
const TYPE = 'belfry-session+jwt';
const KEY_PURPOSE = 'session-token';

/** Tokens whose signature was found good lately: a page sends the same one with each request, and WebCrypto takes 100 us for it. */
const VERIFIED_TOKENS_MAX = 10_000;
const VERIFIED_TOKEN_MS_MAX = 60_000;

const claimsSchema = z.object({
  exp: z.int(),
  sub: z.uuid(),
  env: z.uuid(),
  ext: z.string(),
  grade: z.enum(ADMITTED_GRADES),
  secret: z.uuid().optional(),
  /** Scopes, parted by spaces (RFC 8693 section 4.2). */
  scope: z
    .string()
    .transform((text) => text.split(' '))
    .pipe(z.array(z.enum(SESSION_SCOPES)).min(1)),
  auth_time: z.int(),
  proof_time: z.int().optional(),
  ctx: z.string().optional(),
});

/**
 * Issues and reads session tokens: JWTs of ours, HS256 under a key derived from the installation's key, so that every instance can
 * read them without a query. They carry ids and no personal attributes.
 */
@Injectable()
export class SessionTokens {
  private readonly key: Promise<webcrypto.CryptoKey>;
  private readonly verified = new ExpiringCache<TokenSession>({ entriesMax: VERIFIED_TOKENS_MAX, ttlMs: VERIFIED_TOKEN_MS_MAX });

  private readonly sessionSecondsMax: number;

  constructor(
    box: SecretBox,
    private readonly clock: Clock,
    config: BelfryConfig,
  ) {
    this.sessionSecondsMax = config.of(identityConfig).sessionSecondsMax;
    const algorithm = { name: 'HMAC', hash: 'SHA-256' };
    this.key = webcrypto.subtle.importKey('raw', box.deriveKey(KEY_PURPOSE), algorithm, false, ['sign', 'verify']);
  }

  /**
   * Starts a session now. A longer life is for clients that cannot refresh: `SessionGuard` asks for them what refreshing would ask.
   * @returns its first token
   */
  start(session: NewSession, lifeSeconds = SESSION_TOKEN_SECONDS): Promise<IssuedToken> {
    return this.issue({ ...session, startedAt: this.clock.now() }, lifeSeconds);
  }

  /**
   * A token for the session, good for 15 minutes unless said otherwise, but never beyond the session's greatest age.
   * @throws SessionExpiredError when the session has reached its greatest age
   */
  async issue(
    { scopes = SESSION_SCOPES, ...session }: NewSession & { readonly startedAt: Date },
    lifeSeconds = SESSION_TOKEN_SECONDS,
  ): Promise<IssuedToken> {
    const nowSeconds = secondsOf(this.clock.now());
    const startedSeconds = secondsOf(session.startedAt);
    const expirySeconds = Math.min(nowSeconds + lifeSeconds, startedSeconds + this.sessionSecondsMax);
    if (expirySeconds <= nowSeconds) throw new SessionExpiredError();
    const claims = { env: session.environmentId, ext: session.externalId, grade: session.grade, secret: session.secretId };
    const times = { auth_time: startedSeconds, proof_time: session.provenAt === undefined ? undefined : secondsOf(session.provenAt) };
    const token = await new SignJWT({ ...claims, ...times, scope: scopes.join(' '), ctx: session.contextDigest })
      .setProtectedHeader({ alg: ALGORITHM, typ: TYPE })
      .setIssuer(ISSUER)
      .setAudience(AUDIENCE)
      .setSubject(session.subscriberId)
      .setIssuedAt(nowSeconds)
      .setExpirationTime(expirySeconds)
      .sign(await this.key);
    return { token, expiresAt: new Date(expirySeconds * 1_000) };
  }

  /**
   * The session of a token.
   * @throws SessionInvalidError, SessionExpiredError
   */
  async read(token: string): Promise<Session> {
    return (await this.readVerified(token)).session;
  }

  /**
   * As {@link read}, with the end of the token.
   * @throws SessionInvalidError, SessionExpiredError
   */
  async readVerified(token: string): Promise<TokenSession> {
    if (token.length > SESSION_TOKEN_LENGTH_MAX) throw new SessionInvalidError();
    return requireUnexpired(await this.verified.getOrLoad(digestOf(token), () => this.verify(token)), this.clock.now());
  }

  /**
   * As {@link readVerified}, where the signature was found good lately: without waiting. Whether the token has expired since is the
   * caller's question.
   */
  peekVerified(token: string): TokenSession | undefined {
    return token.length > SESSION_TOKEN_LENGTH_MAX ? undefined : this.verified.peek(digestOf(token));
  }

  private async verify(token: string): Promise<TokenSession> {
    const claims = claimsSchema.safeParse(await this.verifySignature(token));
    if (!claims.success) throw new SessionInvalidError(claims.error);
    const {
      sub,
      env,
      ext,
      grade,
      secret,
      scope: scopes,
      auth_time: startedSeconds,
      proof_time: provenSeconds,
      ctx: contextDigest,
      exp,
    } = claims.data;
    const startedAt = new Date(startedSeconds * 1_000);
    const provenAt = provenSeconds === undefined ? undefined : new Date(provenSeconds * 1_000);
    const identity = { environmentId: env, subscriberId: sub, externalId: ext, grade, secretId: secret };
    const session = { ...identity, scopes, provenAt, startedAt, contextDigest };
    return { session, expiresAt: new Date(exp * 1_000) };
  }

  private async verifySignature(token: string): Promise<unknown> {
    try {
      const { payload } = await jwtVerify(token, await this.key, {
        algorithms: [ALGORITHM],
        typ: TYPE,
        issuer: ISSUER,
        audience: AUDIENCE,
        requiredClaims: ['exp', 'iat', 'sub'],
        currentDate: this.clock.now(),
      });
      return payload;
    } catch (error) {
      if (error instanceof errors.JWTExpired) throw new SessionExpiredError();
      throw new SessionInvalidError(error);
    }
  }
}

/** @throws SessionExpiredError */
export function requireUnexpired(verified: TokenSession, now: Date): TokenSession {
  if (now.getTime() >= verified.expiresAt.getTime()) throw new SessionExpiredError();
  return verified;
}

/** What a token is remembered by, so that nobody finds tokens in memory. In one call: it is made for each request. */
function digestOf(token: string): string {
  return hash('sha256', token, 'base64');
}

function secondsOf(date: Date): number {
  return Math.floor(date.getTime() / 1_000);
}
