import type { BelfryError } from '#contracts';
import { IdentityGradeTooLowError, IdentityMissingError } from '../verify/proof.errors.js';
import { isGradeAtLeast, PROOF_GRADES, type ProofGrade, type ProofSurface } from '../verify/proof.js';
import { isWithinRamp } from './ramp.js';

/**
 * How strictly a surface asks for proofs. Proofs are verified and counted in every mode.
 * - `off`: nothing is refused for want of a proof.
 * - `report-only`: as `off`, and the counts tell what `enforced` would refuse.
 * - `enforced`: what does not prove enough is refused, for the share of the subscribers that the ramp covers.
 */
export const POLICY_MODES = ['off', 'report-only', 'enforced'] as const;

export type PolicyMode = (typeof POLICY_MODES)[number];

/** What a surface asks of a proof. */
export interface SurfacePolicy {
  readonly mode: PolicyMode;
  /** Share of the subscribers, 0 to 100, for whom `enforced` is enforced. */
  readonly rampPercent: number;
  readonly gradeMin: ProofGrade;
}

/** A policy as somebody set it. */
export interface StoredPolicy extends SurfacePolicy {
  /** From then on it is enforced for everybody. */
  readonly endsAt: Date | null;
}

/** What is kept of one surface; both are absent where nobody ever changed anything. */
export interface SurfaceState {
  readonly surface: ProofSurface;
  readonly policy?: StoredPolicy | undefined;
  /** The end of the opening by hand that is the last to end. */
  readonly openUntil?: Date | undefined;
}

/** Every surface of every environment from its creation on: closed. */
export const POLICY_DEFAULT: StoredPolicy = { mode: 'enforced', rampPercent: 100, gradeMin: 'static', endsAt: null };

/** What somebody proved: the grade of the proof, `none` where there is none that holds. */
export const ADMITTED_GRADES = ['none', ...PROOF_GRADES] as const;

export type AdmittedGrade = (typeof ADMITTED_GRADES)[number];

/** The policy that holds at a moment: an opening comes first, and what had an end is closed after it. */
export function policyAt({ policy = POLICY_DEFAULT, openUntil }: Omit<SurfaceState, 'surface'>, now: Date): SurfacePolicy {
  const { mode, rampPercent, gradeMin, endsAt } = policy;
  if (openUntil !== undefined && now < openUntil) return { mode: 'off', rampPercent, gradeMin };
  if (endsAt !== null && now >= endsAt) return { mode: 'enforced', rampPercent: 100, gradeMin };
  return { mode, rampPercent, gradeMin };
}

/** Is the policy enforced for this person? */
export function isEnforcedFor(policy: SurfacePolicy, environmentId: string, externalId: string): boolean {
  return policy.mode === 'enforced' && isWithinRamp(environmentId, externalId, policy.rampPercent);
}

/** Does the policy let somebody in who proved this much? */
export function admits(
  policy: SurfacePolicy,
  { environmentId, externalId, grade }: { readonly environmentId: string; readonly externalId: string; readonly grade: AdmittedGrade },
): boolean {
  if (grade !== 'none' && isGradeAtLeast(grade, policy.gradeMin)) return true;
  return !isEnforcedFor(policy, environmentId, externalId);
}

/** What a session is told that a policy does not let in any more. */
export function weaknessError({ grade }: { readonly grade: AdmittedGrade }): BelfryError {
  return grade === 'none' ? new IdentityMissingError() : new IdentityGradeTooLowError();
}
