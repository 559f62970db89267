import type { AttributeValue, ClaimGrade, ClaimedProfile } from '#subscribers';
import type { Verdict } from '../verify/proof.js';

/** What decides which traits are believed. */
export interface TraitsTrust {
  readonly verdict: Verdict;
  /** Attributes that only a proof which covers them can set. */
  readonly protectedTraits: readonly string[];
}

/** What the proof covers takes the place of what was sent beside it. */
export function mergeCovered(
  traits: Readonly<Record<string, unknown>>,
  { verdict }: Pick<TraitsTrust, 'verdict'>,
): Readonly<Record<string, unknown>> {
  return verdict.valid ? { ...traits, ...verdict.traits } : traits;
}

/**
 * Parts attributes by what can be believed of them. Those that the proof covers are; of the others, with a proof of the person, all but
 * the protected ones; without a proof none.
 */
export function partTraits(
  attributes: Readonly<Record<string, AttributeValue | null>>,
  { verdict, protectedTraits }: TraitsTrust,
): Pick<ClaimedProfile, 'verified' | 'unverified'> {
  const covered = verdict.valid ? (verdict.traits ?? {}) : {};
  const isBelieved = (name: string): boolean => verdict.valid && (Object.hasOwn(covered, name) || !protectedTraits.includes(name));
  const entries = Object.entries(attributes);
  return {
    verified: Object.fromEntries(entries.filter(([name]) => isBelieved(name))),
    unverified: Object.fromEntries(entries.filter(([name]) => !isBelieved(name))),
  };
}

/** What is noted beside values that came with this proof. */
export function gradeOfClaim(verdict: Verdict): ClaimGrade {
  return verdict.valid ? verdict.grade : 'none';
}
