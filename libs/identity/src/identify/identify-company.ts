import { Injectable } from '@nestjs/common';
import { Database, type Sql } from '#database';
import { CompanyStore, MembershipsTooManyError, SubscriberStore } from '#subscribers';
import type { Admission } from '../policy/admit-claim.js';
import { SurfacePolicies } from '../policy/surface-policies.js';
import { admits } from '../policy/surface-policy.js';
import { isGradeAtLeast } from '../verify/proof.js';
import { AdmitProfile, type ClaimSource } from './admit-profile.js';
import type { IdentifiedProfile } from './identify-subscriber.js';
import type { GroupClaim } from './read-claim.js';

/** What became of a claim about a company. */
export interface IdentifiedCompany extends IdentifiedProfile {
  /** The pair of person and company was proven together. */
  readonly membershipVerified: boolean;
}

/** What is known of the person whom a company claim names. */
interface Member {
  readonly verified: boolean;
  /** Where it is false, the membership is noted only of somebody who is known already, and the answer does not tell. */
  readonly mayBeCreated: boolean;
}

/**
 * Writes what a page says of a company, and that a person belongs to it. A proof of grade fresh covers the pair: a signature of another
 * member or of a person is another text. A plain hash of the company id proves the company alone and says nothing of who shows it, so
 * that the person needs a proof of their own, and the membership stays unverified.
 */
@Injectable()
export class IdentifyCompany {
  constructor(
    private readonly database: Database,
    private readonly admit: AdmitProfile,
    private readonly policies: SurfacePolicies,
    private readonly subscribers: SubscriberStore,
    private readonly companies: CompanyStore,
  ) {}

  /** @throws AttributesTooManyError, MembershipsTooManyError, and what `AdmitProfile` throws */
  async run(claim: GroupClaim, source: ClaimSource): Promise<IdentifiedCompany> {
    const { admission, profile } = await this.admit.run(claim, source);
    const membershipVerified = admission.verdict.valid && isGradeAtLeast(admission.verdict.grade, 'fresh');
    const member = membershipVerified ? { verified: true, mayBeCreated: true } : await this.judgeMember(claim, admission, source);
    const environmentId = admission.environment.id;
    await this.database.transaction(async (tx) => {
      const subscriberId = await this.findMember(environmentId, admission.externalId, member, tx);
      const company = await this.companies.applyClaim(environmentId, profile, tx);
      if (subscriberId === undefined) return;
      const membership = { subscriberId, companyId: company.id, verified: membershipVerified };
      if (!(await this.companies.join(environmentId, membership, tx))) throw new MembershipsTooManyError();
    });
    return {
      externalId: profile.externalId,
      admission,
      verifiedNames: Object.keys(profile.verified),
      unverifiedNames: Object.keys(profile.unverified),
      membershipVerified,
    };
  }

  /** The person's own proof is judged as in `POST /v1/identify`; without one it depends on the policy whether somebody may appear. */
  private async judgeMember({ member }: GroupClaim, admission: Admission, source: ClaimSource): Promise<Member> {
    const { environment, externalId } = admission;
    if (member !== undefined) {
      const { verified } = await this.admit.admitProof(member, source);
      return { verified, mayBeCreated: true };
    }
    const policy = await this.policies.read(environment.id, 'identify');
    return { verified: false, mayBeCreated: admits(policy, { environmentId: environment.id, externalId, grade: 'none' }) };
  }

  private async findMember(
    environmentId: string,
    externalId: string,
    { verified, mayBeCreated }: Member,
    tx: Sql,
  ): Promise<string | undefined> {
    if (mayBeCreated) return this.subscribers.ensureSubscriber(environmentId, externalId, tx, verified);
    return (await this.subscribers.findByExternalId(environmentId, externalId, tx))?.id;
  }
}
