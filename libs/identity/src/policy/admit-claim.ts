import { Injectable } from '@nestjs/common';
import { WideLogger } from '#telemetry';
import type { Environment } from '#tenancy';
import type { PageOrigin } from '../browser-origins/browser-origins.js';
import { NO_ENVIRONMENT_ID } from '../coverage/verdict-count.store.js';
import { VerdictCounts } from '../coverage/verdict-counts.js';
import { SubscriberRevocations } from '../revoke/subscriber-revocations.js';
import { SessionRateLimit } from '../session/session-rate-limit.js';
import { isSubscriberId } from '../verify/claim.js';
import {
  type Proof,
  PROOF_SURFACES,
  type ProofRefused,
  type ProofSurface,
  type RefusalReason,
  type Verdict,
  type VerifiedSurface,
} from '../verify/proof.js';
import { refusalError } from '../verify/refusal-error.js';
import { requireGrade } from '../verify/require-grade.js';
import { refuser } from '../verify/verify-hash.js';
import { type IdentityClaim, VerifyIdentity } from '../verify/verify-identity.js';
import { type AdmittedGrade, admits, type SurfacePolicy } from './surface-policy.js';
import { SurfacePolicies } from './surface-policies.js';

/** A claim to speak for a subscriber, with where it came from. */
export interface AdmissionClaim extends IdentityClaim {
  /** Of a session: what it is wanted for; absent for everything that it may be good for. */
  readonly scopes?: readonly ProofSurface[] | undefined;
  /** The client's network address. */
  readonly address: string;
  readonly page?: PageOrigin | undefined;
  /** The client library and its version, as it names itself. */
  readonly sdk?: string | undefined;
}

/** A claim that was let in. */
export interface Admission {
  /** The person, exactly as claimed; of a token its `sub`. Of a company and a context the member. */
  readonly externalId: string;
  readonly environment: Environment;
  /** Does the proof hold? Where it does not, the policy let the request in without one: nothing that it says is known to be true. */
  readonly verified: boolean;
  /** `none` where it is not verified. */
  readonly grade: AdmittedGrade;
  /** What the proof itself is worth; valid exactly where `verified`. */
  readonly verdict: Verdict;
  /** Where it is let in: the surface that was asked for; of a session at least one. */
  readonly surfaces: readonly ProofSurface[];
}

/** Who claims what, once the proof was verified. */
interface Claimant {
  readonly environment: Environment;
  readonly externalId: string;
  readonly verdict: Verdict;
}

/** What the policy of one surface makes of a claimant. What is not admitted has a refusal. */
interface Judgement {
  readonly surface: ProofSurface;
  /** Why the surface refuses, or would refuse if its policy were enforced. */
  readonly refusal: ProofRefused | undefined;
  readonly admitted: boolean;
}

/**
 * Stands in for an environment that is not there: its policies are asked as those of any other, and what they say is not heard. So the
 * answer takes as long as for an environment that is there.
 */
const NO_ENVIRONMENT: Environment = {
  id: NO_ENVIRONMENT_ID,
  workspaceId: NO_ENVIRONMENT_ID,
  name: '',
  kind: 'production',
  publicKey: '',
  allowedOrigins: [],
  protectedTraits: [],
  createdAt: new Date(0),
};

/** Ids that nobody can have: there is nobody to let in, whatever the policy. */
const ID_FAULTS: ReadonlySet<RefusalReason> = new Set(['id_not_string', 'id_invalid']);

/**
 * Decides who gets in: the proof is verified, then the policy of each surface says whether what it proves is enough. Every route and
 * dialect that takes proofs comes through here.
 *
 * A policy that does not enforce lets in what is refused, as `verified: false`, but never under an id that no subscriber can have, for an
 * unknown environment, or for a person who was revoked and does not prove to have come back. A proof that holds but is too weak for the
 * surface stays verified where the policy is not enforced.
 */
@Injectable()
export class AdmitClaim {
  constructor(
    private readonly verify: VerifyIdentity,
    private readonly policies: SurfacePolicies,
    private readonly revocations: SubscriberRevocations,
    private readonly rateLimit: SessionRateLimit,
    private readonly counts: VerdictCounts,
    private readonly logger: WideLogger,
  ) {}

  /** @throws RateLimitedError, and the error of every refusal (`refusalError`) */
  async run(claim: AdmissionClaim): Promise<Admission> {
    const { environment } = claim;
    await this.rateLimit.refuseSuspects(claim.address);
    await this.rateLimit.countAttempt(claim.address, environment?.id);
    const verdict = await this.verify.run(claim);
    const surfaces = surfacesOf(claim, verdict);
    const externalId = personOf(claim.proof, verdict);
    if (externalId === undefined) return this.turnAway(claim, surfaces, refusalOf(verdict) ?? refuser(verdict.kind)('id_invalid'));
    const claimant = { environment: environment ?? NO_ENVIRONMENT, externalId, verdict };
    const judgements = await Promise.all(surfaces.map((surface) => this.judge(surface, claim, claimant)));
    if (environment === undefined) return this.turnAway(claim, surfaces, refusalOf(verdict) ?? refuser(verdict.kind)('mismatch'));
    const settled = await this.bar(claimant, judgements);
    this.count(claim, settled, verdict.keyId);
    return this.settle(claim, claimant, settled);
  }

  /** Refuses a claim that no policy is asked about: there is nobody whom it could let in. */
  private turnAway(claim: AdmissionClaim, surfaces: readonly ProofSurface[], refusal: ProofRefused): Promise<never> {
    this.count(
      claim,
      surfaces.map((surface) => ({ surface, refusal, admitted: false })),
      refusal.keyId,
    );
    return this.refuse(claim, refusal);
  }

  /** Refuses a claim that names surfaces of which one refuses, and one that nothing is left of. */
  private settle(
    claim: AdmissionClaim,
    { environment, externalId, verdict }: Claimant,
    judgements: readonly Judgement[],
  ): Promise<Admission> {
    const surfaces = judgements.filter(({ admitted }) => admitted).map(({ surface }) => surface);
    const isSelection = claim.surface === 'session' && claim.scopes === undefined;
    const refused = judgements.find(({ admitted }) => !admitted);
    if (refused?.refusal !== undefined && (!isSelection || surfaces.length === 0))
      return this.refuse(claim, refused.refusal, refused.surface);
    const grade = verdict.valid ? verdict.grade : 'none';
    return Promise.resolve({ externalId, environment, verified: verdict.valid, grade, verdict, surfaces });
  }

  private async judge(surface: ProofSurface, claim: AdmissionClaim, { environment, externalId, verdict }: Claimant): Promise<Judgement> {
    const policy = await this.policies.read(environment.id, surface);
    if (!verdict.valid) return { surface, refusal: verdict, admitted: admitsUnproven(policy, environment.id, externalId) };
    const refuse = refuser(verdict.kind);
    if (!verdict.surfaces.includes(surface))
      return { surface, refusal: { ...refuse('scope_missing'), keyId: verdict.keyId }, admitted: false };
    const weighed = refusalOf(requireGrade(verdict, policy));
    const refusal = weighed === undefined || claim.surface !== 'session' ? weighed : { ...weighed, reason: 'grade_too_low' as const };
    return { surface, refusal, admitted: admits(policy, { environmentId: environment.id, externalId, grade: verdict.grade }) };
  }

  /**
   * Takes back what policies would let in unproven where a refusal overrules them. Nobody is looked up for a proof that is refused anyway:
   * the answer to a wrong proof costs the same for everybody, whether revoked or not.
   */
  private async bar({ environment, externalId, verdict }: Claimant, judgements: readonly Judgement[]): Promise<readonly Judgement[]> {
    if (verdict.valid || judgements.every(({ admitted }) => !admitted)) return judgements;
    const isBarred = ID_FAULTS.has(verdict.reason) || (await this.revocations.revokedAtOf(environment.id, externalId)) !== undefined;
    return isBarred ? judgements.map((judgement) => ({ ...judgement, admitted: false })) : judgements;
  }

  private count(claim: AdmissionClaim, judgements: readonly Judgement[], keyId: string | undefined): void {
    this.counts.count(
      claim,
      judgements.map(({ surface, refusal, admitted }) => ({ surface, reason: refusal?.reason ?? 'valid', admitted, keyId })),
    );
  }

  private async refuse(claim: AdmissionClaim, refusal: ProofRefused, surface: VerifiedSurface = claim.surface): Promise<never> {
    await this.rateLimit.countRejection(claim.address);
    this.logger.info('identity.claim.refused', {
      environment_id: claim.environment?.id ?? null,
      surface,
      reason: claim.environment === undefined ? 'environment_unknown' : refusal.reason,
      key_id: refusal.keyId ?? null,
    });
    throw refusalError(refusal, surface);
  }
}

function admitsUnproven(policy: SurfacePolicy, environmentId: string, externalId: string): boolean {
  return admits(policy, { environmentId, externalId, grade: 'none' });
}

function refusalOf(verdict: Verdict): ProofRefused | undefined {
  return verdict.valid ? undefined : verdict;
}

/** The person whom the claim names, if it names one at all. */
function personOf(proof: Proof, verdict: Verdict): string | undefined {
  if (verdict.valid && verdict.kind === 'subscriber') return verdict.id;
  const named = proof.kind === 'subscriber' ? proof.id : proof.subscriberId;
  return typeof named === 'string' && isSubscriberId(named) ? named : undefined;
}

/** The surfaces whose policies are asked: of a session those that it is wanted for, else all that the proof is good for. */
function surfacesOf({ surface, scopes }: AdmissionClaim, verdict: Verdict): readonly ProofSurface[] {
  if (surface !== 'session') return [surface];
  return scopes === undefined ? (verdict.valid ? verdict.surfaces : PROOF_SURFACES) : [...new Set(scopes)];
}
