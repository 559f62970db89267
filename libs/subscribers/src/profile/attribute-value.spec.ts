import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ATTRIBUTE_TYPES, toAttributeValue } from './attribute-value.js';
import { canonicalDate } from './canonical-date.js';
import { canonicalLocale, isTimeZone } from './locale-and-time-zone.js';

describe('toAttributeValue', () => {
  it('keeps what JSON can keep, by its own type', () => {
    for (const value of ['', '30', 30, 0.1, 1e21, true, false, [], ['a', '']])
      expect(toAttributeValue(value, undefined)).toEqual({ ok: true, value });
    expect(toAttributeValue(-0, undefined)).toEqual({ ok: true, value: 0 });
  });

  it('is idempotent: a value that was accepted is accepted again and unchanged', () => {
    fc.assert(
      fc.property(fc.anything(), fc.constantFrom(undefined, ...ATTRIBUTE_TYPES), (input, type) => {
        const outcome = toAttributeValue(input, type);
        if (outcome.ok) expect(toAttributeValue(outcome.value, type)).toEqual(outcome);
      }),
    );
  });

  it('never keeps objects, nested lists, NUL characters, lone surrogates or numbers out of range', () => {
    for (const value of [{}, [[]], [null], null, undefined, 'a\0', ['\ud800'], Number.NaN, Infinity]) {
      for (const type of [undefined, ...ATTRIBUTE_TYPES])
        expect(toAttributeValue(value, type).ok, `${String(value)} as ${type}`).toBe(
          (value === Infinity && type === 'string') || (Number.isNaN(value) && type === 'string'),
        );
    }
  });
});

describe('canonicalDate', () => {
  it.each([
    ['2026-05-31', '2026-05-31'],
    ['2024-02-29', '2024-02-29'],
    ['2026-05-31T10:00:00Z', '2026-05-31T10:00:00.000Z'],
    ['2026-05-31T10:00:00.123456789+02:00', '2026-05-31T08:00:00.123Z'],
    ['2026-05-31 10:00', '2026-05-31T10:00:00.000Z'],
    ['2026-12-31T23:30:00-0100', '2027-01-01T00:30:00.000Z'],
  ])('brings %s to %s', (text, canonical) => {
    expect(canonicalDate(text)).toBe(canonical);
    expect(canonicalDate(canonical)).toBe(canonical);
  });

  it.each([
    '2026-02-29',
    '2026-00-01',
    '0000-01-01',
    '2026-05-31T24:00:00Z',
    '2026-05-31T10:00:60Z',
    '2026-05-31T10:00:00+15:00',
    '31.05.2026',
    '9999-12-31T23:00:00-02:00',
    '',
  ])('refuses %s', (text) => {
    expect(canonicalDate(text)).toBeUndefined();
  });
});

describe('locales and time zones', () => {
  it('know BCP 47 tags and bring them to their canonical form', () => {
    expect(canonicalLocale('de-at')).toBe('de-AT');
    expect(canonicalLocale('zh-hant-tw')).toBe('zh-Hant-TW');
    for (const text of ['', 'german', 'de_AT', 'x'.repeat(100), '*'])
      expect(canonicalLocale(text)).toBe(text === 'german' ? 'german' : undefined);
  });

  it('know IANA names and no offsets', () => {
    for (const name of ['Europe/Vienna', 'UTC', 'America/Argentina/Buenos_Aires']) expect(isTimeZone(name)).toBe(true);
    for (const name of ['', '+02:00', 'Europe/Atlantis', '../etc/passwd']) expect(isTimeZone(name)).toBe(false);
  });
});
