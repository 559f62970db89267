import { Injectable } from '@nestjs/common';
import { SubscriberStore } from '#subscribers';
import type { Admission } from '../policy/admit-claim.js';
import { AdmitProfile, type ClaimSource } from './admit-profile.js';
import type { ProfileClaim } from './read-claim.js';

/** What became of a claim: by name, what is believed and what is kept beside it. */
export interface IdentifiedProfile {
  readonly externalId: string;
  readonly admission: Admission;
  readonly verifiedNames: readonly string[];
  readonly unverifiedNames: readonly string[];
}

/**
 * Writes what a page says of a person. The proof is judged before anything is looked up, and a refusal leaves nothing behind. What the
 * proof covers is verified; everything else stands beside it and overwrites nothing.
 */
@Injectable()
export class IdentifySubscriber {
  constructor(
    private readonly admit: AdmitProfile,
    private readonly subscribers: SubscriberStore,
  ) {}

  /** @throws AttributesTooManyError, and what `AdmitProfile` throws */
  async run(claim: ProfileClaim<'subscriber'>, source: ClaimSource): Promise<IdentifiedProfile> {
    const { admission, profile } = await this.admit.run(claim, source);
    const { externalId } = await this.subscribers.applyClaim(admission.environment.id, profile);
    return {
      externalId,
      admission,
      verifiedNames: Object.keys(profile.verified),
      unverifiedNames: Object.keys(profile.unverified),
    };
  }
}
