import { Injectable } from '@nestjs/common';
import { SubscriberStore } from '#subscribers';
import { WideLogger } from '#telemetry';
import { type Environment, EnvironmentDirectory, ScopeMissingError } from '#tenancy';
import { IdentityMismatchError } from '../verify/proof.errors.js';
import type { Proof, ProofAccepted, Verdict } from '../verify/proof.js';
import { refusalError } from '../verify/refusal-error.js';
import { VerifyIdentity } from '../verify/verify-identity.js';
import type { IssuedToken, SessionScope } from './session.js';
import { SessionRateLimit } from './session-rate-limit.js';
import { SessionTokens } from './session-tokens.js';

/** A browser's claim to speak for a subscriber, as it came in. */
export interface SessionClaim {
  readonly publicKey: string;
  readonly proof: Proof & { readonly kind: 'subscriber' };
  /** What the session is wanted for; absent for everything that the proof is good for. */
  readonly scopes?: readonly SessionScope[] | undefined;
  /** The client's network address. */
  readonly address: string;
  /**
   * Asked once the proof is found good, before anything is created: may the page of this request act for the environment?
   * @throws OriginNotAllowedError
   */
  readonly admitOrigin: (environment: Environment) => void;
}

/** An open session. */
export interface OpenedSession extends IssuedToken {
  readonly externalId: string;
  readonly scopes: readonly SessionScope[];
}

/**
 * Exchanges a proof of identity for a session token.
 *
 * The proof is verified before the subscriber is looked up or created. An unknown environment, a wrong proof and one of another
 * environment get the same answer, after the same work, and leave nothing behind.
 */
@Injectable()
export class OpenSession {
  constructor(
    private readonly environments: EnvironmentDirectory,
    private readonly verify: VerifyIdentity,
    private readonly subscribers: SubscriberStore,
    private readonly tokens: SessionTokens,
    private readonly rateLimit: SessionRateLimit,
    private readonly logger: WideLogger,
  ) {}

  /** @throws RateLimitedError, OriginNotAllowedError, ScopeMissingError, and the error of every refusal (`refusalError`) */
  async run(claim: SessionClaim): Promise<OpenedSession> {
    await this.rateLimit.refuseSuspects(claim.address);
    const { publicKey, proof } = claim;
    const environment = await this.environments.findByPublicKey(publicKey);
    await this.rateLimit.countAttempt(claim.address, environment?.id);
    const verdict = await this.verify.run({ environment, publicKey, surface: 'session', proof });
    if (!verdict.valid || environment === undefined) return this.reject(claim, environment, verdict);
    claim.admitOrigin(environment);
    return this.open(environment, verdict, claim.scopes);
  }

  private async open(environment: Environment, verdict: ProofAccepted, wanted: SessionClaim['scopes']): Promise<OpenedSession> {
    const { id: externalId, grade, keyId: secretId, surfaces } = verdict;
    const scopes = wanted ?? surfaces;
    const beyond = scopes.find((scope) => !surfaces.includes(scope));
    if (beyond !== undefined) throw new ScopeMissingError(beyond, 'the token');
    const subscriberId = await this.subscribers.ensureSubscriber(environment.id, externalId);
    const issued = await this.tokens.start({ environmentId: environment.id, subscriberId, externalId, grade, secretId, scopes });
    return { ...issued, externalId, scopes };
  }

  private async reject(claim: SessionClaim, environment: Environment | undefined, verdict: Verdict): Promise<never> {
    await this.rateLimit.countRejection(claim.address);
    const reason = environment === undefined ? 'environment_unknown' : verdict.reason;
    this.logger.info('session.rejected', { environment_id: environment?.id ?? null, reason, key_id: verdict.keyId ?? null });
    throw verdict.valid ? new IdentityMismatchError() : refusalError(verdict, 'session');
  }
}
