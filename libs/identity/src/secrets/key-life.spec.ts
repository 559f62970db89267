import { describe, expect, it } from 'vitest';
import { keyStateOf, shareOf } from './key-life.js';

const NEVER = { firstUsedAt: null, retireAt: null, retiredAt: null };
const at = new Date();

describe('keyStateOf', () => {
  it('goes from created over in use and retiring to retired', () => {
    expect(keyStateOf(NEVER)).toBe('created');
    expect(keyStateOf({ ...NEVER, firstUsedAt: at })).toBe('in_use');
    expect(keyStateOf({ ...NEVER, retireAt: at })).toBe('retiring');
    expect(keyStateOf({ firstUsedAt: at, retireAt: at, retiredAt: null })).toBe('retiring');
    expect(keyStateOf({ firstUsedAt: at, retireAt: at, retiredAt: at })).toBe('retired');
    expect(keyStateOf({ ...NEVER, retiredAt: at })).toBe('retired');
  });
});

describe('shareOf', () => {
  const used = { ...NEVER, firstUsedAt: at };
  const traffic = (uses: Record<string, number>) => new Map(Object.entries(uses));
  const both = new Set(['old', 'new']);

  it('tells the part of all proofs that a key made', () => {
    expect(shareOf({ id: 'old', ...used }, traffic({ old: 1, new: 3 }), both)).toEqual({ uses: 1, share: 0.25, safeToRetire: false });
    expect(shareOf({ id: 'new', ...used }, traffic({ old: 1, new: 2 }), both)).toMatchObject({ share: 0.6667 });
    expect(shareOf({ id: 'old', ...used }, traffic({}), both)).toEqual({ uses: 0, share: null, safeToRetire: false });
  });

  it('calls a key safe to retire when it is quiet and another live key is not', () => {
    const safe = (key: Partial<typeof NEVER | typeof used>, uses: Record<string, number>, live = both) =>
      shareOf({ id: 'old', ...used, ...key }, traffic(uses), live).safeToRetire;
    expect(safe({}, { new: 5 })).toBe(true);
    expect(safe({ retireAt: at } as never, { new: 5 })).toBe(true);
    expect(safe({}, { new: 5, old: 1 })).toBe(false);
    expect(safe({}, {})).toBe(false);
    expect(safe({}, { gone: 5 })).toBe(false);
    expect(safe({}, { new: 5 }, new Set(['old']))).toBe(false);
    expect(safe({ firstUsedAt: null }, { new: 5 })).toBe(false);
    expect(safe({ retiredAt: at } as never, { new: 5 })).toBe(false);
  });
});
