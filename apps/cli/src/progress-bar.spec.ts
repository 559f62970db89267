import { describe, expect, it } from 'vitest';
import { describeProgress, ProgressBar } from './progress-bar.js';

const progress = { phase: 'lines', bytes: 50, lines: 3_500, created: 3_488, updated: 0, rejected: 12 } as const;

describe('ProgressBar', () => {
  it('shows how far the import is', () => {
    expect(describeProgress(progress, 100, 2)).toBe('importing [############------------] 50%  3,500 lines  12 rejected  1,750/s');
    expect(describeProgress({ ...progress, phase: 'types' }, 0, 0)).toBe(`finding types [${'#'.repeat(24)}] 100%`);
  });

  it('redraws in place, not too often, and cleans up', () => {
    const written: string[] = [];
    let nowMs = 0;
    const bar = new ProgressBar({ isTTY: true, columns: 30, write: (text) => written.push(text) }, 100, () => nowMs);
    bar.draw(progress);
    nowMs = 50;
    bar.draw(progress);
    nowMs = 100;
    bar.draw(progress);
    bar.clear();
    expect(written).toHaveLength(3);
    expect(written.every((text) => text.startsWith('\r\u001b[K') && text.length <= 29 + 4)).toBe(true);
  });

  it('writes nothing where there is no terminal', () => {
    const written: string[] = [];
    const bar = new ProgressBar({ write: (text) => written.push(text) }, 100);
    bar.draw(progress);
    bar.clear();
    expect(written).toEqual([]);
  });
});
