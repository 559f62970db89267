import { randomUUID } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isWithinRamp } from './ramp.js';

const percents = fc.integer({ min: 0, max: 100 });

describe('isWithinRamp', () => {
  it('never lets go of somebody when the share is raised, and answers the same each time', () => {
    fc.assert(
      fc.property(fc.uuid(), fc.string({ minLength: 1, maxLength: 255 }), percents, percents, (environmentId, id, one, other) => {
        const [lower, higher] = [Math.min(one, other), Math.max(one, other)];
        const before = isWithinRamp(environmentId, id, lower);
        expect(isWithinRamp(environmentId, id, lower)).toBe(before);
        if (before) expect(isWithinRamp(environmentId, id, higher)).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  it('covers nobody at 0 and everybody at 100', () => {
    fc.assert(
      fc.property(fc.uuid(), fc.string(), (environmentId, id) => {
        expect([isWithinRamp(environmentId, id, 0), isWithinRamp(environmentId, id, 100)]).toEqual([false, true]);
      }),
    );
  });

  it('covers about the share that it says', () => {
    const environmentId = '01890000-0000-7000-8000-000000000001';
    for (const percent of [1, 10, 50, 90]) {
      const covered = Array.from({ length: 20_000 }, (_, index) => isWithinRamp(environmentId, `user-${index}`, percent)).filter(Boolean);
      expect(Math.abs(covered.length / 200 - percent)).toBeLessThan(1.5);
    }
  });

  it('gives a person another place in another environment, and one that outlives releases', () => {
    const [one, other] = [randomUUID(), randomUUID()];
    const differing = Array.from({ length: 200 }, (_, index) => `user-${index}`).filter(
      (id) => isWithinRamp(one, id, 50) !== isWithinRamp(other, id, 50),
    );
    expect(differing.length).toBeGreaterThan(50);
    const known = ['user-0', 'user-1', 'user-2', 'user-3', 'user-4', 'user-5', 'user-6', 'user-7'];
    expect(known.map((id) => isWithinRamp('01890000-0000-7000-8000-000000000001', id, 50))).toEqual(KNOWN);
  });
});

/** Nobody may be let go of by an upgrade: whoever changes the hash changes whom a ramp covers. */
const KNOWN: readonly boolean[] = [true, false, true, true, true, true, false, false];
