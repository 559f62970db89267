import { describe, expect, it, vi } from 'vitest';
import { cachedFor } from './metrics.js';

describe('cachedFor', () => {
  it('asks once for all that come within its time, also when they come at once', async () => {
    let nowMs = 0;
    let calls = 0;
    const ask = async (): Promise<number> => (calls += 1);
    const cached = cachedFor(1_000, ask, () => nowMs);
    expect(await Promise.all([cached(), cached()])).toEqual([1, 1]);
    nowMs = 999;
    expect(await cached()).toBe(1);
    nowMs = 1_000;
    expect(await cached()).toBe(2);
  });

  it('gives a failure to those who asked and keeps it for nobody else', async () => {
    const ask = vi.fn<() => Promise<string>>().mockRejectedValueOnce(new Error('down')).mockResolvedValue('up');
    const cached = cachedFor(1_000, ask, () => 0);
    await expect(cached()).rejects.toThrow('down');
    expect(await cached()).toBe('up');
    expect(ask).toHaveBeenCalledTimes(2);
  });
});
