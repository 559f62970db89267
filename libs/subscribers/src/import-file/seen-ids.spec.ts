import { describe, expect, it } from 'vitest';
import { SeenIds } from './seen-ids.js';

describe('SeenIds', () => {
  it('gives the line an id stood on before, over many growths', () => {
    const seen = new SeenIds();
    const repeated: number[] = [];
    for (let line = 2; line <= 50_001; line += 1) {
      if (seen.note(`customer-${line}`, line) !== undefined) repeated.push(line);
    }
    expect(repeated).toEqual([]);
    for (let line = 2; line <= 50_001; line += 997) expect(seen.note(`customer-${line}`, 60_000)).toBe(line);
    expect(seen.note('customer-2', 60_001)).toBe(60_000);
  });
});
