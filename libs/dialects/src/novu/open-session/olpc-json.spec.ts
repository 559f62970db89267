import { createRequire } from 'node:module';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fuzzRuns, fuzzTimeoutMs } from '#testing';
import { olpcJson } from './olpc-json.js';

/** What Novu's own servers and documentation use. */
const { canonicalize } = createRequire(import.meta.url)('@tufjs/canonical-json') as { canonicalize: (value: unknown) => string };

describe('olpcJson', () => {
  it('writes what the package writes that signs contexts', { timeout: fuzzTimeoutMs(100) }, () => {
    const integer = fc.oneof(fc.integer(), fc.maxSafeInteger(), fc.constantFrom(-0, 1e21, 2 ** 53));
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof({ maxDepth: 4 }, fc.string({ unit: 'binary' }), fc.boolean(), fc.constant(null), integer, tie('list'), tie('object')),
      list: fc.array(tie('value'), { maxLength: 4 }),
      object: fc.dictionary(fc.string({ unit: 'binary' }), tie('value'), { maxKeys: 4 }),
    }));
    fc.assert(
      fc.property(value, (document) => {
        expect(olpcJson(document)).toBe(canonicalize(document));
      }),
      { numRuns: fuzzRuns(100) },
    );
  });

  it('leaves control characters raw and escapes nothing but quotes and backslashes', () => {
    expect(olpcJson({ 'a"\\': '\n\u0001\u2028é/' })).toBe('{"a\\"\\\\":"\n\u0001\u2028é/"}');
  });

  it('sorts members by their UTF-16 code units, at every level', () => {
    expect(olpcJson({ b: 1, '\u{1f600}': 2, '\ufb33': 3, a: { d: [], c: {} } })).toBe(
      '{"a":{"c":{},"d":[]},"b":1,"\u{1f600}":2,"\ufb33":3}',
    );
  });

  it('has no form for fractions, for what JSON does not know, and for what is too deep', () => {
    for (const value of [0.5, Number.NaN, Infinity, undefined, 1n, () => 0]) {
      expect(olpcJson(value)).toBeUndefined();
      expect(olpcJson({ a: [value] })).toBeUndefined();
    }
    let nested: unknown = 1;
    for (let level = 0; level < 100_000; level += 1) nested = [nested];
    expect(olpcJson(nested)).toBeUndefined();
  });
});
