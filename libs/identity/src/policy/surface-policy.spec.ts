import { describe, expect, it } from 'vitest';
import {
  ADMITTED_GRADES,
  admits,
  type AdmittedGrade,
  POLICY_DEFAULT,
  policyAt,
  type SurfacePolicy,
  weaknessError,
} from './surface-policy.js';

const NOW = new Date('2026-11-26T12:00:00Z');
const LATER = new Date(NOW.getTime() + 1);
const person = (grade: AdmittedGrade) => ({ environmentId: '01890000-0000-7000-8000-000000000001', externalId: 'user-1', grade });
const policy = (facts: Partial<SurfacePolicy>): SurfacePolicy => ({ mode: 'enforced', rampPercent: 100, gradeMin: 'static', ...facts });

describe('policyAt', () => {
  it('is closed where nobody ever changed anything', () => {
    expect(policyAt({}, NOW)).toEqual({ mode: 'enforced', rampPercent: 100, gradeMin: 'static' });
  });

  it('closes to the moment what had an end, and keeps the grade', () => {
    const stored = { ...POLICY_DEFAULT, mode: 'report-only' as const, gradeMin: 'fresh' as const };
    expect(policyAt({ policy: { ...stored, endsAt: LATER } }, NOW).mode).toBe('report-only');
    expect(policyAt({ policy: { ...stored, endsAt: NOW } }, NOW)).toEqual(policy({ gradeMin: 'fresh' }));
    expect(policyAt({ policy: { ...POLICY_DEFAULT, rampPercent: 5, endsAt: NOW } }, NOW).rampPercent).toBe(100);
    expect(policyAt({ policy: stored }, NOW).mode).toBe('report-only');
  });

  it('is off while the glass is broken, and what it was afterwards', () => {
    expect(policyAt({ openUntil: LATER }, NOW).mode).toBe('off');
    expect(policyAt({ openUntil: NOW }, NOW).mode).toBe('enforced');
    expect(policyAt({ policy: { ...POLICY_DEFAULT, endsAt: NOW }, openUntil: LATER }, NOW).mode).toBe('off');
  });
});

describe('admits', () => {
  it('lets in who proved enough, in every mode', () => {
    for (const mode of ['off', 'report-only', 'enforced'] as const) {
      expect(admits(policy({ mode, gradeMin: 'fresh' }), person('fresh'))).toBe(true);
      expect(admits(policy({ mode, gradeMin: 'fresh' }), person('traits'))).toBe(true);
    }
  });

  it('refuses who proved too little only where it is enforced for this person', () => {
    for (const [gradeMin, grade] of [
      ['static', 'none'],
      ['fresh', 'none'],
      ['fresh', 'static'],
      ['traits', 'fresh'],
    ] as const) {
      expect(admits(policy({ gradeMin }), person(grade))).toBe(false);
      expect(admits(policy({ gradeMin, rampPercent: 0 }), person(grade))).toBe(true);
      expect(admits(policy({ gradeMin, mode: 'report-only' }), person(grade))).toBe(true);
      expect(admits(policy({ gradeMin, mode: 'off' }), person(grade))).toBe(true);
    }
  });

  it('tells a session what it lacks', () => {
    const codes = ADMITTED_GRADES.map((grade) => weaknessError({ grade }).facts.code);
    expect(codes).toEqual(['identity_missing', ...Array.from({ length: 3 }, () => 'identity_grade_too_low')]);
  });
});
