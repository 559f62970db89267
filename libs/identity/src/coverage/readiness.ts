import type { RefusalReason } from '../verify/proof.js';

/**
 * Why a surface is not ready to be enforced for everybody.
 * - `too_few_verdicts`: too little was seen to judge by.
 * - `no_live_key`: the environment has no key, so that no proof can hold.
 * - `proofs_missing`, `proofs_wrong`, `proofs_untimely`, `proofs_too_weak`: more than a few requests would be refused, for reasons of this kind.
 * - `retiring_key_in_use`: proofs are made with a key whose overlap will be over.
 */
export const READINESS_REASONS = [
  'too_few_verdicts',
  'no_live_key',
  'proofs_missing',
  'proofs_wrong',
  'proofs_untimely',
  'proofs_too_weak',
  'retiring_key_in_use',
] as const;

export type ReadinessReason = (typeof READINESS_REASONS)[number];

/** Fewer verdicts say nothing. */
export const READY_VERDICTS_MIN = 100;

/** Greatest share of the verdicts that enforcement may refuse. */
export const READY_FAULTY_SHARE_MAX = 0.01;

/** Which kind of fault a refusal is; a person who was revoked is refused rightly. */
const KIND_OF: Readonly<Record<RefusalReason, ReadinessReason | undefined>> = {
  id_not_string: 'proofs_wrong',
  id_invalid: 'proofs_wrong',
  missing: 'proofs_missing',
  malformed: 'proofs_wrong',
  timestamp_invalid: 'proofs_wrong',
  alg_not_allowed: 'proofs_wrong',
  plain_form_refused: 'proofs_wrong',
  mismatch: 'proofs_wrong',
  tenant_mismatch: 'proofs_wrong',
  scope_missing: 'proofs_wrong',
  expired: 'proofs_untimely',
  not_yet_valid: 'proofs_untimely',
  revoked: undefined,
  timestamp_missing: 'proofs_too_weak',
  timestamp_not_signed: 'proofs_too_weak',
  grade_too_low: 'proofs_too_weak',
};

/** What to do about each. */
export const READINESS_HINTS: Readonly<Record<ReadinessReason, string>> = {
  too_few_verdicts: `Wait until at least ${READY_VERDICTS_MIN} proofs were asked for, or look at more hours.`,
  no_live_key: 'Make a secret with POST /v1/identity-secrets, or register a key for tokens.',
  proofs_missing: 'Some pages send no proof: look at origins and sdks for those with faulty verdicts.',
  proofs_wrong: 'Give the id and the proof of such a request to POST /v1/identity/diagnose; it names the mistake.',
  proofs_untimely: 'Make the proof when the page needs it, not when it is built or cached, and set the clock of the server that makes it.',
  proofs_too_weak: 'Sign the time too (grade fresh) or the traits, or lower grade_min of the surface.',
  retiring_key_in_use: 'Move the servers that sign with the retiring key to the new one before its overlap is over.',
};

/** What readiness follows from. */
export interface SeenVerdicts {
  readonly verdicts: number;
  /** Verdicts of each reason, `valid` included. */
  readonly byReason: ReadonlyMap<string, number>;
  /** Verdicts with keys whose overlap has an end. */
  readonly byRetiringKeys: number;
  readonly hasLiveKey: boolean;
}

/** One reason, with how many verdicts it is about; `null` where it is not about verdicts. */
export interface ReadinessFinding {
  readonly reason: ReadinessReason;
  readonly verdicts: number | null;
}

/** What speaks against enforcing for everybody, in the order of {@link READINESS_REASONS}; nothing when the surface is ready. */
export function findingsAgainst({ verdicts, byReason, byRetiringKeys, hasLiveKey }: SeenVerdicts): ReadinessFinding[] {
  const faults = new Map<ReadinessReason, number>();
  for (const [reason, kind] of Object.entries(KIND_OF)) {
    const count = byReason.get(reason) ?? 0;
    if (kind !== undefined && count > 0) faults.set(kind, (faults.get(kind) ?? 0) + count);
  }
  const faulty = [...faults.values()].reduce((sum, count) => sum + count, 0);
  const findings = new Map<ReadinessReason, number | null>();
  if (verdicts < READY_VERDICTS_MIN) findings.set('too_few_verdicts', verdicts);
  if (!hasLiveKey) findings.set('no_live_key', null);
  if (faulty > verdicts * READY_FAULTY_SHARE_MAX) for (const [kind, count] of faults) findings.set(kind, count);
  if (byRetiringKeys > 0) findings.set('retiring_key_in_use', byRetiringKeys);
  return READINESS_REASONS.filter((reason) => findings.has(reason)).map((reason) => ({ reason, verdicts: findings.get(reason) ?? null }));
}
