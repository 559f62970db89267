import { describe, expect, it } from 'vitest';
import { ExpiringCache } from './expiring-cache.js';

function makeCache(options: { entriesMax?: number; ttlMs?: number } = {}) {
  const time = { ms: 0 };
  const loads: string[] = [];
  const cache = new ExpiringCache<string>({ entriesMax: 2, ttlMs: 1_000, ...options, monotonicMs: () => time.ms });
  const get = (key: string) =>
    cache.getOrLoad(key, async () => {
      loads.push(key);
      return `${key}@${time.ms}`;
    });
  return { cache, time, loads, get };
}

describe('ExpiringCache', () => {
  it('repeats an answer until its time to live is over', async () => {
    const { time, get } = makeCache();
    expect(await get('a')).toBe('a@0');
    time.ms = 999;
    expect(await get('a')).toBe('a@0');
    time.ms = 1_000;
    expect(await get('a')).toBe('a@1000');
  });

  it('shares one load between concurrent callers', async () => {
    const { loads, get } = makeCache();
    await Promise.all([get('a'), get('a'), get('a')]);
    expect(loads).toEqual(['a']);
  });

  it('never holds more entries than its limit', async () => {
    const { cache, get } = makeCache();
    for (const key of ['a', 'b', 'c', 'd']) await get(key);
    expect(cache.size).toBe(2);
  });

  it('does not remember a failed load', async () => {
    const { cache } = makeCache();
    await expect(cache.getOrLoad('a', () => Promise.reject(new Error('down')))).rejects.toThrow('down');
    expect(await cache.getOrLoad('a', () => Promise.resolve('up'))).toBe('up');
  });

  it('loads again after an entry was forgotten', async () => {
    const { cache, time, get } = makeCache();
    await get('a');
    cache.forget('a');
    time.ms = 1;
    expect(await get('a')).toBe('a@1');
  });

  it('shows at once only what is there, for as long as it is good', async () => {
    const { cache, time, get } = makeCache();
    expect(cache.peek('a')).toBeUndefined();
    const loading = get('a');
    expect(cache.peek('a')).toBeUndefined();
    await loading;
    expect(cache.peek('a')).toBe('a@0');
    time.ms = 1_000;
    expect(cache.peek('a')).toBeUndefined();
    await get('a');
    cache.forget('a');
    expect(cache.peek('a')).toBeUndefined();
  });
});
