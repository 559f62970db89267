import { describe, expect, it } from 'vitest';
import { backoffMs } from './backoff.js';

describe('backoffMs', () => {
  it('doubles up to half a minute and is drawn at random', () => {
    expect([1, 2, 3, 6, 50].map((failures) => backoffMs(failures, () => 1))).toEqual([1_000, 2_000, 4_000, 30_000, 30_000]);
    expect(backoffMs(3, () => 0)).toBe(800);
  });
});
