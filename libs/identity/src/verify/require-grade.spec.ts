import { describe, expect, it } from 'vitest';
import type { ProofAccepted, ProofGrade, Verdict } from './proof.js';
import { requireGrade } from './require-grade.js';

const accepted = (facts: Partial<ProofAccepted> = {}): ProofAccepted => ({
  valid: true,
  reason: 'valid',
  kind: 'company',
  id: 'user-123',
  grade: 'static',
  form: 'plain',
  keyId: 'key-1',
  timestampUnsigned: false,
  surfaces: ['inbox'],
  ...facts,
});

describe('requireGrade', () => {
  it.each<[ProofGrade, ProofGrade, boolean]>([
    ['static', 'static', true],
    ['static', 'fresh', false],
    ['static', 'traits', false],
    ['fresh', 'static', true],
    ['fresh', 'fresh', true],
    ['fresh', 'traits', false],
    ['traits', 'static', true],
    ['traits', 'fresh', true],
    ['traits', 'traits', true],
  ])('a proof of grade %s where %s is asked for passes: %s', (grade, gradeMin, passes) => {
    const verdict = accepted({ grade, form: 'v2' });
    const judged = requireGrade(verdict, { gradeMin });
    if (passes) expect(judged).toBe(verdict);
    else expect(judged).toEqual({ valid: false, reason: 'grade_too_low', kind: 'company', keyId: 'key-1' });
  });

  it('says what a plain hash lacks', () => {
    expect(requireGrade(accepted(), { gradeMin: 'fresh' }).reason).toBe('timestamp_missing');
    expect(requireGrade(accepted({ timestampUnsigned: true }), { gradeMin: 'fresh' }).reason).toBe('timestamp_not_signed');
    expect(requireGrade(accepted({ form: 'token' }), { gradeMin: 'fresh' }).reason).toBe('grade_too_low');
  });

  it('lets only proofs pass that cover a time after the revocation', () => {
    const reason = (facts: Partial<ProofAccepted>) => requireGrade(accepted(facts), { gradeMin: 'static', revokedAtSeconds: 1_000 }).reason;
    expect(reason({})).toBe('revoked');
    expect(reason({ grade: 'fresh', form: 'v2' })).toBe('revoked');
    expect(reason({ grade: 'static', form: 'token', issuedAtSeconds: 2_000 })).toBe('revoked');
    expect(reason({ grade: 'fresh', form: 'v2', issuedAtSeconds: 999 })).toBe('revoked');
    expect(reason({ grade: 'fresh', form: 'v2', issuedAtSeconds: 1_000 })).toBe('revoked');
    expect(reason({ grade: 'fresh', form: 'v2', issuedAtSeconds: 1_001 })).toBe('valid');
  });

  it('leaves a refusal as it is', () => {
    const refused: Verdict = { valid: false, reason: 'mismatch', kind: 'subscriber' };
    expect(requireGrade(refused, { gradeMin: 'traits', revokedAtSeconds: 1 })).toBe(refused);
  });
});
