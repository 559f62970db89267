import { Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Clock } from '#contracts';
import { AdmitClaim, type Admission, admitOrigin, IdentifyRateLimit, pageOriginOf, type ProofSurface, sdkOf } from '#identity';
import { SubscriberStore } from '#subscribers';
import { EnvironmentDirectory } from '#tenancy';
import type { NamedUser } from './basic-credentials.js';

/** "I am this user of this client", with or without a hash. */
export interface UserClaim extends NamedUser {
  readonly hash: string | undefined;
  /** What it is shown for. */
  readonly surface: ProofSurface;
}

/** A user who may come in, and what ends the admission. There may be no such subscriber yet. */
export interface WelcomeUser extends Pick<Admission, 'externalId' | 'grade' | 'verified' | 'verdict'> {
  readonly environmentId: string;
  /** Attributes that only a proof which covers them can set: a hash of the id covers none. */
  readonly protectedTraits: readonly string[];
  /** The key that made the hash; `undefined` where the policy let the user in without a good one. */
  readonly secretId: string | undefined;
  readonly startedAt: Date;
}

/** A user who is in. */
export interface AdmittedUser extends WelcomeUser {
  readonly subscriberId: string;
}

/** Where a claim comes from. */
export interface ClaimOrigin {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

/**
 * Lets users in. NotificationAPI has no sessions: every request carries the hash, and is verified as the opening of a session is, before
 * anything is looked up or created. "Secure mode" is the policy of the surface.
 */
@Injectable()
export class AdmitUser {
  constructor(
    private readonly environments: EnvironmentDirectory,
    private readonly admitClaim: AdmitClaim,
    private readonly rateLimit: IdentifyRateLimit,
    private readonly subscribers: SubscriberStore,
    private readonly clock: Clock,
  ) {}

  /**
   * Lets a user in; the subscriber is created when there is none yet.
   * @throws OriginNotAllowedError, RateLimitedError, and the error of every refusal (`refusalError`)
   */
  async run(claim: UserClaim, from: ClaimOrigin): Promise<AdmittedUser> {
    const user = await this.judge(claim, from);
    return {
      ...user,
      subscriberId: await this.subscribers.ensureSubscriber(user.environmentId, user.externalId, undefined, user.verified),
    };
  }

  /**
   * Decides whether a user may come in, and creates nothing.
   * @throws OriginNotAllowedError, RateLimitedError, and the error of every refusal (`refusalError`)
   */
  async judge({ clientId, userId, hash, surface }: UserClaim, { request, reply }: ClaimOrigin): Promise<WelcomeUser> {
    const startedAt = this.clock.now();
    const admission = await this.admitClaim.run({
      environment: await this.environments.findByPublicKey(clientId),
      publicKey: clientId,
      surface,
      proof: { kind: 'subscriber', id: userId, hash },
      address: request.ip,
      page: pageOriginOf(request),
      sdk: sdkOf(request),
    });
    const { environment, externalId, grade, verified, verdict } = admission;
    admitOrigin(environment, request, reply);
    if (surface === 'identify' && !verified) await this.rateLimit.countUnverified(request.ip, environment.id);
    const secretId = verdict.valid ? verdict.keyId : undefined;
    const { id: environmentId, protectedTraits } = environment;
    return { environmentId, protectedTraits, externalId, secretId, grade, verified, verdict, startedAt };
  }
}
