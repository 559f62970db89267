import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CANONICAL_DEPTH_MAX, canonicalJson } from './canonical-json.js';

/** The double of 16 hex digits, as RFC 8785 appendix B writes them. */
function doubleOf(hex: string): number {
  return Buffer.from(hex, 'hex').readDoubleBE();
}

describe('canonicalJson', () => {
  it('writes the example of RFC 8785 section 3.2.2 as the RFC does', () => {
    const value = {
      numbers: [Number('333333333.33333329'), 1e30, 4.5, 2e-3, 1e-27],
      string: '\u20ac$\u000f\u000aA\'B"\\\\"/',
      literals: [null, true, false],
    };
    expect(canonicalJson(value)).toBe(
      String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
    );
  });

  it('stops where the text becomes longer than it may, and is exact there', () => {
    for (const value of [{ a: 'xyz' }, ['a', 'b', null, 1.5], 'text', { b: {}, a: [[]] }]) {
      const text = canonicalJson(value) ?? '';
      expect(canonicalJson(value, text.length)).toBe(text);
      expect(canonicalJson(value, text.length - 1)).toBeUndefined();
    }
    let reads = 0;
    const wide = Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`name-${index}`, 0]));
    const counted = new Proxy(wide, {
      get: (target, name) => {
        reads += 1;
        return Reflect.get(target, name);
      },
    });
    expect(canonicalJson(5, 1)).toBe('5');
    expect(canonicalJson(counted, 500)).toBeUndefined();
    expect(reads).toBe(0);
  });

  it('sorts names by UTF-16 code units, as the example of section 3.2.3', () => {
    const value = {
      '\u20ac': 'Euro Sign',
      '\r': 'Carriage Return',
      '\ufb33': 'Hebrew Letter Dalet With Dagesh',
      '1': 'One',
      '\ud83d\ude00': 'Emoji: Grinning Face',
      '\u0080': 'Control',
      '\u00f6': 'Latin Small Letter O With Diaeresis',
    };
    const names = Object.keys(JSON.parse(canonicalJson(value) ?? '') as object);
    const texts = [...(canonicalJson(value) ?? '').matchAll(/:"([^"]+)"/g)].map((match) => match[1]);
    expect(names).toHaveLength(7);
    expect(texts).toEqual([
      'Carriage Return',
      'One',
      'Control',
      'Latin Small Letter O With Diaeresis',
      'Euro Sign',
      'Emoji: Grinning Face',
      'Hebrew Letter Dalet With Dagesh',
    ]);
  });

  it.each([
    ['0000000000000000', '0'],
    ['8000000000000000', '0'],
    ['0000000000000001', '5e-324'],
    ['8000000000000001', '-5e-324'],
    ['7fefffffffffffff', '1.7976931348623157e+308'],
    ['ffefffffffffffff', '-1.7976931348623157e+308'],
    ['4340000000000000', '9007199254740992'],
    ['c340000000000000', '-9007199254740992'],
    ['4430000000000000', '295147905179352830000'],
    ['44b52d02c7e14af5', '9.999999999999997e+22'],
    ['44b52d02c7e14af6', '1e+23'],
    ['44b52d02c7e14af7', '1.0000000000000001e+23'],
    ['444b1ae4d6e2ef4e', '999999999999999700000'],
    ['444b1ae4d6e2ef4f', '999999999999999900000'],
    ['444b1ae4d6e2ef50', '1e+21'],
    ['3eb0c6f7a0b5ed8c', '9.999999999999997e-7'],
    ['3eb0c6f7a0b5ed8d', '0.000001'],
    ['41b3de4355555553', '333333333.3333332'],
    ['41b3de4355555554', '333333333.33333325'],
    ['41b3de4355555555', '333333333.3333333'],
    ['41b3de4355555556', '333333333.3333334'],
    ['41b3de4355555557', '333333333.33333343'],
    ['becbf647612f3696', '-0.0000033333333333333333'],
    ['43143ff3c1cb0959', '1424953923781206.2'],
  ])('writes the double %s of appendix B as %s', (hex, text) => {
    expect(canonicalJson(doubleOf(hex))).toBe(text);
  });

  it('has no form for what JSON cannot say', () => {
    const values = [
      Number.NaN,
      Number.POSITIVE_INFINITY,
      undefined,
      () => 1,
      Symbol('x'),
      1n,
      '\ud800',
      { '\udc00': 1 },
      [undefined],
      { a: undefined },
    ];
    for (const value of values) expect(canonicalJson(value)).toBeUndefined();
    // oxlint-disable-next-line no-sparse-arrays
    expect(canonicalJson([1, , 2])).toBeUndefined();
  });

  it('goes as deep as its limit and no deeper', () => {
    const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)]);
    expect(canonicalJson(nested(CANONICAL_DEPTH_MAX))).toHaveLength(2 * CANONICAL_DEPTH_MAX + 1);
    expect(canonicalJson(nested(CANONICAL_DEPTH_MAX + 1))).toBeUndefined();
    const members = (depth: number): unknown => (depth === 0 ? 1 : { a: members(depth - 1) });
    expect(canonicalJson(members(CANONICAL_DEPTH_MAX))).toBeDefined();
    expect(canonicalJson(members(CANONICAL_DEPTH_MAX + 1))).toBeUndefined();
  });

  it('does not hide the failure of a getter', () => {
    const value = {
      get bad(): never {
        throw new RangeError('from outside');
      },
    };
    expect(() => canonicalJson(value)).toThrow('from outside');
  });

  it('says the same as the value, and is the same for every order of members', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 })), (value) => {
        const text = canonicalJson(value);
        if (text === undefined) return;
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
        expect(canonicalJson(Object.fromEntries(Object.entries(value).reverse()))).toBe(text);
      }),
    );
  });
});
