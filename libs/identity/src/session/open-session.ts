import { Injectable } from '@nestjs/common';
import { SubscriberStore } from '#subscribers';
import { type Environment, EnvironmentDirectory } from '#tenancy';
import type { PageOrigin } from '../browser-origins/browser-origins.js';
import { AdmitClaim, type Admission } from '../policy/admit-claim.js';
import type { Proof, Verdict } from '../verify/proof.js';
import type { IssuedToken, SessionScope } from './session.js';
import { SessionRateLimit } from './session-rate-limit.js';
import { SessionTokens } from './session-tokens.js';

/** A browser's claim to speak for a subscriber, as it came in. */
export interface SessionClaim {
  readonly publicKey: string;
  readonly proof: Proof & { readonly kind: 'subscriber' };
  /** What the session is wanted for; absent for everything that the proof and the policies are good for. */
  readonly scopes?: readonly SessionScope[] | undefined;
  /** The client's network address. */
  readonly address: string;
  readonly page?: PageOrigin | undefined;
  /** The client library and its version, as it names itself. */
  readonly sdk?: string | undefined;
  /**
   * Asked once the claim is let in, before anything is created: may the page of this request act for the environment?
   * @throws OriginNotAllowedError
   */
  readonly admitOrigin: (environment: Environment) => void;
}

/** An open session. */
export interface OpenedSession extends IssuedToken {
  readonly externalId: string;
  /** Where the session is let in. */
  readonly scopes: readonly SessionScope[];
  /** Did a proof open it? Without one a policy did. */
  readonly verified: boolean;
}

/**
 * Exchanges a proof of identity for a session token. Each surface that the session is wanted for has its say by its policy.
 *
 * The proof is verified before the subscriber is looked up or created. An unknown environment, a wrong proof and one of another
 * environment get the same answer, after the same work, and leave nothing behind.
 */
@Injectable()
export class OpenSession {
  constructor(
    private readonly environments: EnvironmentDirectory,
    private readonly admission: AdmitClaim,
    private readonly subscribers: SubscriberStore,
    private readonly tokens: SessionTokens,
    private readonly rateLimit: SessionRateLimit,
  ) {}

  /** @throws RateLimitedError, OriginNotAllowedError, and the error of every refusal (`refusalError`) */
  async run({ admitOrigin, ...claim }: SessionClaim): Promise<OpenedSession> {
    await this.rateLimit.refuseSuspects(claim.address);
    const environment = await this.environments.findByPublicKey(claim.publicKey);
    const admission = await this.admission.run({ ...claim, environment, surface: 'session' });
    admitOrigin(admission.environment);
    return this.open(admission);
  }

  private async open({ environment, externalId, verified, grade, verdict, surfaces: scopes }: Admission): Promise<OpenedSession> {
    const subscriberId = await this.subscribers.ensureSubscriber(environment.id, externalId, undefined, verified);
    const secretId = verdict.valid ? verdict.keyId : undefined;
    const session = { environmentId: environment.id, subscriberId, externalId, grade, secretId, scopes, provenAt: provenAtOf(verdict) };
    const issued = await this.tokens.start(session);
    return { ...issued, externalId, scopes, verified };
  }
}

/** A static proof covers no time, even where one stands beside it. */
function provenAtOf(verdict: Verdict): Date | undefined {
  if (!verdict.valid || verdict.grade === 'static' || verdict.issuedAtSeconds === undefined) return undefined;
  return new Date(verdict.issuedAtSeconds * 1_000);
}
