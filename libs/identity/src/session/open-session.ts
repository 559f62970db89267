import { randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { SubscriberStore } from '#subscribers';
import { WideLogger } from '#telemetry';
import { type Environment, EnvironmentDirectory } from '#tenancy';
import { IdentityRejectedError, SubscriberIdNotStringError } from '../identity.errors.js';
import { type LiveIdentitySecret, LiveIdentitySecrets } from '../secrets/live-identity-secrets.js';
import { IDENTITY_SECRETS_LIVE_MAX } from '../secrets/manage-identity-secrets.js';
import { type SubscriberHashVerdict, verifySubscriberHash } from '../verify/verify-subscriber-hash.js';
import type { IssuedToken } from './session.js';
import { SessionRateLimit } from './session-rate-limit.js';
import { SessionTokens } from './session-tokens.js';

/** A browser's claim to speak for a subscriber, as it came in. */
export interface SessionClaim {
  readonly publicKey: string;
  readonly subscriberId: unknown;
  readonly subscriberHash: unknown;
  /** The client's network address. */
  readonly address: string;
  /**
   * Asked once the environment is known and again before anything is created: may the page of this request act for it?
   * @throws OriginNotAllowedError
   */
  readonly admitOrigin: (environment: Environment) => void;
}

/** An open session. */
export interface OpenedSession extends IssuedToken {
  readonly externalId: string;
}

/** Secrets that nobody knows: with them every verification costs the same number of MACs, also for an unknown environment. */
const DECOYS: readonly string[] = Array.from({ length: IDENTITY_SECRETS_LIVE_MAX }, () => randomBytes(32).toString('base64url'));

/**
 * Exchanges a proof of identity for a session token.
 *
 * The proof is verified before the subscriber is looked up or created. An unknown environment, a wrong, missing or malformed proof and
 * one of another environment get the same answer, after the same work, and leave nothing behind.
 */
@Injectable()
export class OpenSession {
  constructor(
    private readonly environments: EnvironmentDirectory,
    private readonly secrets: LiveIdentitySecrets,
    private readonly subscribers: SubscriberStore,
    private readonly tokens: SessionTokens,
    private readonly rateLimit: SessionRateLimit,
    private readonly logger: WideLogger,
  ) {}

  /** @throws RateLimitedError, SubscriberIdNotStringError, IdentityRejectedError, OriginNotAllowedError */
  async run(claim: SessionClaim): Promise<OpenedSession> {
    await this.rateLimit.refuseSuspects(claim.address);
    if (typeof claim.subscriberId !== 'string') throw new SubscriberIdNotStringError();
    const environment = await this.environments.findByPublicKey(claim.publicKey);
    await this.rateLimit.countAttempt(claim.address, environment?.id);
    const secrets = environment === undefined ? [] : await this.secrets.read(environment.id);
    const { verdict, secretIndex } = verifySubscriberHash({
      id: claim.subscriberId,
      hash: claim.subscriberHash,
      secrets: withDecoys(secrets),
    });
    const secret = secretIndex === undefined ? undefined : secrets[secretIndex];
    if (environment === undefined || secret === undefined) return this.reject(claim, environment, verdict);
    claim.admitOrigin(environment);
    return this.open(environment, claim.subscriberId, secret);
  }

  private async open(environment: Environment, externalId: string, secret: LiveIdentitySecret): Promise<OpenedSession> {
    const subscriberId = await this.subscribers.ensureSubscriber(environment.id, externalId);
    const session = { environmentId: environment.id, subscriberId, externalId, grade: 'static', secretId: secret.id } as const;
    return { ...(await this.tokens.start(session)), externalId };
  }

  private async reject(claim: SessionClaim, environment: Environment | undefined, verdict: SubscriberHashVerdict): Promise<never> {
    await this.rateLimit.countRejection(claim.address);
    this.logger.info('session.rejected', {
      environment_id: environment?.id ?? null,
      reason: environment === undefined ? 'environment_unknown' : verdict,
    });
    throw new IdentityRejectedError();
  }
}

function withDecoys(secrets: readonly LiveIdentitySecret[]): string[] {
  return [...secrets.map((secret) => secret.text), ...DECOYS].slice(0, IDENTITY_SECRETS_LIVE_MAX);
}
