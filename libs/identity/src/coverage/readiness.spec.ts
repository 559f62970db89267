import { describe, expect, it } from 'vitest';
import { REFUSAL_REASONS } from '../verify/proof.js';
import { findingsAgainst, READINESS_HINTS, READINESS_REASONS, READY_VERDICTS_MIN } from './readiness.js';

const seen = (byReason: Record<string, number>, facts: { byRetiringKeys?: number; hasLiveKey?: boolean } = {}) => ({
  verdicts: Object.values(byReason).reduce((sum, count) => sum + count, 0),
  byReason: new Map(Object.entries(byReason)),
  byRetiringKeys: 0,
  hasLiveKey: true,
  ...facts,
});
const reasonsOf = (...args: Parameters<typeof seen>) => findingsAgainst(seen(...args)).map(({ reason }) => reason);

describe('findingsAgainst', () => {
  it('finds nothing where next to nobody would be refused', () => {
    expect(reasonsOf({ valid: 99, missing: 1 })).toEqual([]);
    expect(reasonsOf({ valid: 9_900, missing: 50, mismatch: 50 })).toEqual([]);
  });

  it('says how many verdicts each kind of fault has where they are too many together', () => {
    expect(findingsAgainst(seen({ valid: 1_000, missing: 5, mismatch: 3, malformed: 2, expired: 1, grade_too_low: 4 }))).toEqual([
      { reason: 'proofs_missing', verdicts: 5 },
      { reason: 'proofs_wrong', verdicts: 5 },
      { reason: 'proofs_untimely', verdicts: 1 },
      { reason: 'proofs_too_weak', verdicts: 4 },
    ]);
  });

  it('needs enough to judge by, a live key, and no key that will end', () => {
    expect(reasonsOf({ valid: READY_VERDICTS_MIN - 1 })).toEqual(['too_few_verdicts']);
    expect(reasonsOf({})).toEqual(['too_few_verdicts']);
    expect(reasonsOf({ valid: READY_VERDICTS_MIN }, { hasLiveKey: false })).toEqual(['no_live_key']);
    expect(reasonsOf({ valid: READY_VERDICTS_MIN }, { byRetiringKeys: 1 })).toEqual(['retiring_key_in_use']);
  });

  it('holds every refusal against the surface but those of people who were revoked', () => {
    for (const reason of REFUSAL_REASONS) {
      expect(reasonsOf({ valid: 100, [reason]: 100 }).length, reason).toBe(reason === 'revoked' ? 0 : 1);
    }
  });

  it('has a hint for each reason', () => {
    for (const reason of READINESS_REASONS) expect(READINESS_HINTS[reason]).toMatch(/^[A-Z].*\.$/);
  });
});
