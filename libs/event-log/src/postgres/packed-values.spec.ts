import { describe, expect, it } from 'vitest';
import { headersToText, packValues, sliceBySize } from './packed-values.js';

const bytesOf = (bytes: number): number => bytes;

describe('packed-values', () => {
  it('says where each value starts and how long it is', () => {
    const packed = packValues([Buffer.from('ab'), Buffer.alloc(0), Buffer.from('cde')]);
    expect(packed).toEqual({ bytes: Buffer.from('abcde'), starts: [1, 3, 3], lengths: [2, 0, 3] });
  });

  it('keeps no headers as null', () => {
    expect([headersToText(undefined), headersToText({}), headersToText({ a: '1' })]).toEqual([null, null, '{"a":"1"}']);
  });

  it('slices by count and by bytes, in order, and leaves a giant alone', () => {
    expect([...sliceBySize([1, 1, 1, 1, 1], { countMax: 2, bytesMax: 100 }, bytesOf)]).toEqual([[1, 1], [1, 1], [1]]);
    expect([...sliceBySize([4, 4, 4, 20, 1], { countMax: 10, bytesMax: 8 }, bytesOf)]).toEqual([[4, 4], [4], [20], [1]]);
    expect([...sliceBySize([], { countMax: 10, bytesMax: 8 }, bytesOf)]).toEqual([]);
  });
});
