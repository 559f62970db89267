import { Injectable } from '@nestjs/common';
import { AttributeStore, type ClaimedProfile, SubscriberInvalidError, toSubscriberPatch } from '#subscribers';
import { Clock } from '#contracts';
import { EnvironmentDirectory, type Environment } from '#tenancy';
import type { PageOrigin } from '../browser-origins/browser-origins.js';
import { AdmitClaim, type Admission } from '../policy/admit-claim.js';
import { SessionRateLimit } from '../session/session-rate-limit.js';
import { TimestampMissingError } from '../verify/proof.errors.js';
import { isAbsentTime } from '../verify/proof-time.js';
import { refusalError } from '../verify/refusal-error.js';
import { IdentifyRateLimit } from './identify-rate-limit.js';
import { gradeOfClaim, mergeCovered, partTraits } from './part-traits.js';
import type { ProfileClaim } from './read-claim.js';

/** Where a claim came from. */
export interface ClaimSource {
  readonly publicKey: string;
  /** The client's network address. */
  readonly address: string;
  readonly page: PageOrigin | undefined;
  readonly sdk: string | undefined;
  /**
   * Asked once the proof is judged, before anything is written: may the page of this request act for the environment?
   * @throws OriginNotAllowedError
   */
  readonly admitOrigin: (environment: Environment) => void;
}

/** A claim that was let in, and what of it is to be written. */
export interface AdmittedProfile {
  readonly admission: Admission;
  readonly profile: ClaimedProfile;
}

/** Decides what of a claimed profile may be written, and how. Writes nothing itself. */
@Injectable()
export class AdmitProfile {
  constructor(
    private readonly environments: EnvironmentDirectory,
    private readonly admit: AdmitClaim,
    private readonly attributes: AttributeStore,
    private readonly proofRateLimit: SessionRateLimit,
    private readonly rateLimit: IdentifyRateLimit,
    private readonly clock: Clock,
  ) {}

  /**
   * @throws RateLimitedError, OriginNotAllowedError, SubscriberInvalidError, and the error of every refusal (`refusalError`)
   */
  async run(claim: ProfileClaim, source: ClaimSource): Promise<AdmittedProfile> {
    const admission = await this.admitProof(claim.proof, source);
    await this.refuseUnsound(claim, admission, source);
    source.admitOrigin(admission.environment);
    const { environment, verdict } = admission;
    if (!admission.verified) await this.rateLimit.countUnverified(source.address, environment.id);
    const attributes = await this.readAttributes(claim, admission);
    const parts = partTraits(attributes, { verdict, protectedTraits: environment.protectedTraits });
    const externalId = claim.proof.kind === 'company' ? String(claim.proof.id) : admission.externalId;
    return { admission, profile: { externalId, grade: gradeOfClaim(verdict), at: this.clock.now(), ...parts } };
  }

  /** Judges one proof for the surface `identify`. */
  async admitProof(proof: ProfileClaim['proof'], source: ClaimSource): Promise<Admission> {
    const { publicKey, address, page, sdk } = source;
    await this.proofRateLimit.refuseSuspects(address);
    const environment = await this.environments.findByPublicKey(publicKey);
    return this.admit.run({ environment, publicKey, surface: 'identify', proof, address, page, sdk });
  }

  /** The attributes in the form in which they are kept. */
  private async readAttributes({ traits, traitsName }: ProfileClaim, { environment, externalId, verdict }: Admission) {
    const sent = mergeCovered(traits, { verdict });
    if (Object.keys(sent).length === 0) return {};
    const outcome = toSubscriberPatch({ external_id: externalId, attributes: sent }, await this.attributes.readTypes(environment.id));
    if (outcome.ok) return outcome.patch.attributes ?? {};
    const [first, ...others] = outcome.faults.map((fault) => ({
      ...fault,
      pointer: fault.pointer.replace('/attributes', `/${traitsName}`),
    }));
    throw new SubscriberInvalidError([first as NonNullable<typeof first>, ...others]);
  }

  /** A claim that says it was signed stands and falls with its proof, whatever the policy lets in. */
  private async refuseUnsound({ isSigned, proof }: ProfileClaim, { verdict }: Admission, { address }: ClaimSource): Promise<void> {
    if (!isSigned || (!verdict.valid && verdict.reason === 'missing')) return;
    if (verdict.valid && (verdict.form === 'token' || !isAbsentTime(proof.timestamp))) return;
    await this.proofRateLimit.countRejection(address);
    throw verdict.valid ? new TimestampMissingError() : refusalError(verdict, 'identify');
  }
}
