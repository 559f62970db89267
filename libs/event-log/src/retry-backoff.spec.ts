import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { backoffMs, RETRY_DELAY_MS_MAX, RETRY_DELAY_MS_MIN } from './retry-backoff.js';

describe('backoffMs', () => {
  it('doubles from the shortest to the longest delay, at the middle of the jitter', () => {
    expect([1, 2, 3, 4, 20].map((failures) => backoffMs(failures, RETRY_DELAY_MS_MAX, () => 0.5))).toEqual([150, 300, 600, 1200, 7500]);
  });

  it('stays within half and the whole of the delay, however many attempts failed', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000_000 }), fc.double({ min: 0, max: 0.999, noNaN: true }), (failures, random) => {
        const delay = backoffMs(failures, RETRY_DELAY_MS_MAX, () => random);
        expect(delay >= RETRY_DELAY_MS_MIN / 2 && delay <= RETRY_DELAY_MS_MAX).toBe(true);
      }),
    );
  });
});
