import { isGradeAtLeast, type ProofAccepted, type ProofGrade, type RefusalReason, type Verdict } from './proof.js';

/** What a surface asks of a proof, and what was decided about the subscriber since the proof was made. */
export interface ProofRequirement {
  readonly gradeMin: ProofGrade;
  /** Everything that was issued to the subscriber up to this Unix time was revoked: the proof has to cover a later one. */
  readonly revokedAtSeconds?: number;
}

/** The verdict under a requirement: a proof that holds may still be too weak, or older than a revocation. */
export function requireGrade(verdict: Verdict, { gradeMin, revokedAtSeconds }: ProofRequirement): Verdict {
  if (!verdict.valid) return verdict;
  if (revokedAtSeconds !== undefined && !isIssuedAfter(verdict, revokedAtSeconds)) return refuse(verdict, 'revoked');
  if (isGradeAtLeast(verdict.grade, gradeMin)) return verdict;
  return refuse(verdict, weaknessOf(verdict));
}

/** A static proof says nothing about when it was made. The second of the revocation itself counts as before it. */
function isIssuedAfter({ grade, issuedAtSeconds }: ProofAccepted, revokedAtSeconds: number): boolean {
  return grade !== 'static' && issuedAtSeconds !== undefined && issuedAtSeconds > revokedAtSeconds;
}

function weaknessOf({ form, timestampUnsigned }: ProofAccepted): RefusalReason {
  if (form !== 'plain') return 'grade_too_low';
  return timestampUnsigned ? 'timestamp_not_signed' : 'timestamp_missing';
}

function refuse({ kind, keyId }: ProofAccepted, reason: RefusalReason): Verdict {
  return { valid: false, reason, kind, keyId };
}
