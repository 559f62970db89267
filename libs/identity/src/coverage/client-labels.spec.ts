import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { originLabel, parseSdk, PROVEN_SDKS_MAX, SdkPlaces, UNPROVEN_SDKS_MAX } from './client-labels.js';

const ALLOWED = 'https://app.example.com';

describe('originLabel', () => {
  const page = (origin: string, isOwn = false) => ({ origin, isOwn });

  it('names allowed origins and nothing else', () => {
    const production = { kind: 'production' as const, allowedOrigins: [ALLOWED] };
    expect(originLabel(production, page(ALLOWED))).toBe(ALLOWED);
    expect(originLabel(production, undefined)).toBe('none');
    for (const origin of ['https://evil.example', 'http://localhost:5173', `${ALLOWED}/`, 'null', '', 'none', 'same-origin']) {
      expect(originLabel(production, page(origin))).toBe('other');
    }
    const development = { ...production, kind: 'development' as const };
    expect(originLabel(development, page('http://localhost:5173'))).toBe('loopback');
    expect(originLabel(development, page('https://evil.example'))).toBe('other');
  });

  it('has one name for pages that the server itself delivers, unless the environment lists their origin', () => {
    const own = { origin: 'https://notify.example.com', isOwn: true };
    const production = { kind: 'production' as const, allowedOrigins: [ALLOWED] };
    expect(originLabel(production, own)).toBe('same-origin');
    expect(originLabel(production, { ...own, isOwn: false })).toBe('other');
    expect(originLabel({ ...production, allowedOrigins: [own.origin] }, own)).toBe(own.origin);
    expect(originLabel({ ...production, kind: 'development' }, { origin: 'http://localhost:3000', isOwn: true })).toBe('same-origin');
  });
});

describe('parseSdk', () => {
  it('takes a name and a version', () => {
    for (const text of ['belfry-web/0.1.0', 'novu-js/3.12.4-beta.1', 'a/0.0.0']) expect(parseSdk(text)).toBe(text);
  });

  it.each([
    '',
    'belfry-web',
    'belfry-web/',
    'belfry-web/1',
    'belfry-web/1.2',
    'Belfry/1.2.3',
    'belfry web/1.2.3',
    'belfry-web/1.2.3\n',
    ' belfry-web/1.2.3',
    'belfry-web/1.2.3 x',
    'belfry-web/1.2.3+build',
    'belfry-web/12345.0.0',
    'bélfry/1.2.3',
    '<script>/1.2.3',
    `${'a'.repeat(60)}/1.2.3`,
    'other',
    'none',
  ])('takes no %j', (text) => {
    expect(parseSdk(text)).toBeUndefined();
  });
});

describe('SdkPlaces', () => {
  const proven = { hour: 1, isProven: true };
  const unproven = { hour: 1, isProven: false };

  it('gives made-up versions few places, and none of those that prove something', () => {
    const places = new SdkPlaces();
    const labels = Array.from({ length: 1_000 }, (_, index) => places.label('env', `made-up/0.0.${index}`, unproven));
    expect(new Set(labels).size).toBe(UNPROVEN_SDKS_MAX + 1);
    expect(labels.at(-1)).toBe('other');
    for (let index = 0; index < PROVEN_SDKS_MAX; index += 1) {
      expect(places.label('env', `belfry-web/1.0.${index}`, proven)).toBe(`belfry-web/1.0.${index}`);
    }
    expect(places.label('env', 'belfry-web/2.0.0', proven)).toBe('other');
    expect(places.label('env', 'belfry-web/1.0.0', unproven)).toBe('belfry-web/1.0.0');
    expect(places.label('another', 'belfry-web/2.0.0', proven)).toBe('belfry-web/2.0.0');
    expect(places.label('env', 'belfry-web/2.0.0', { hour: 2, isProven: true })).toBe('belfry-web/2.0.0');
  });

  it('frees the place of a version as soon as it proves something', () => {
    const places = new SdkPlaces();
    for (let index = 0; index < UNPROVEN_SDKS_MAX; index += 1) places.label('env', `site/1.0.${index}`, unproven);
    expect(places.label('env', 'site/9.0.0', unproven)).toBe('other');
    expect(places.label('env', 'site/1.0.0', proven)).toBe('site/1.0.0');
    expect(places.label('env', 'site/9.0.0', unproven)).toBe('site/9.0.0');
  });

  it('never has more labels of an environment and hour than places, whatever is sent', () => {
    const calls = fc.array(
      fc.tuple(
        fc.oneof(
          fc.string(),
          fc.nat(500).map((patch) => `x/0.0.${patch}`),
        ),
        fc.boolean(),
      ),
      { maxLength: 300 },
    );
    fc.assert(
      fc.property(calls, (sent) => {
        const places = new SdkPlaces();
        const labels = new Set(sent.map(([sdk, isProven]) => places.label('env', sdk, { hour: 1, isProven })));
        for (const label of labels) expect(label === 'other' || parseSdk(label) === label).toBe(true);
        expect(labels.size).toBeLessThanOrEqual(PROVEN_SDKS_MAX + UNPROVEN_SDKS_MAX + 1);
      }),
    );
  });
});
