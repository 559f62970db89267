import { describe, expect, it } from 'vitest';
import { murmur2, partitionOfKey } from './partition-of-key.js';

describe('partition-of-key', () => {
  it('hashes as the tests of the Kafka clients expect', () => {
    const expected = {
      '21': -973932308,
      foobar: -790332482,
      'a-little-bit-long-string': -985981536,
      'a-little-bit-longer-string': -1486304829,
      lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8: -58897971,
      abc: 479470107,
    };
    expect(Object.fromEntries(Object.keys(expected).map((key) => [key, murmur2(Buffer.from(key))]))).toEqual(expected);
  });

  it('gives one key always the same partition and spreads many keys over all', () => {
    const counts = Array.from({ length: 12 }, () => 0);
    for (let index = 0; index < 12_000; index += 1) {
      const partition = partitionOfKey(`018f5e3c-0000-7000-8000-${index}`, 12);
      expect(partitionOfKey(`018f5e3c-0000-7000-8000-${index}`, 12)).toBe(partition);
      counts[partition] = (counts[partition] ?? 0) + 1;
    }
    expect(Math.min(...counts)).toBeGreaterThan(800);
    expect(Math.max(...counts)).toBeLessThan(1_200);
  });

  it('takes the empty key', () => {
    expect(partitionOfKey('', 4)).toBe((murmur2(Buffer.alloc(0)) & 0x7fffffff) % 4);
  });
});
