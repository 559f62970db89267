import { describe, expect, it } from 'vitest';
import { resolveSafeUrl } from './safe-url.js';

const BASE = 'https://shop.example/inbox?x=1';

describe('resolveSafeUrl', () => {
  it.each([
    ['/offers/autumn?a=1#b', 'https://shop.example/offers/autumn?a=1#b'],
    ['https://other.example/a', 'https://other.example/a'],
    ['http://localhost:3000/a', 'http://localhost:3000/a'],
    ['HTTPS://OTHER.example', 'https://other.example/'],
  ])('follows %s', (place, url) => expect(resolveSafeUrl(place, BASE)).toBe(url));

  it.each([
    'javascript:alert(1)',
    'JaVaScRiPt:alert(1)',
    'data:text/html,x',
    'blob:https://shop.example/1',
    'http://other.example/',
    '//evil.example/a',
    '/\\evil.example',
    '\\\\evil.example',
    '/\tevil',
    'java\nscript:alert(1)',
    ' https://other.example',
    'https://user:secret@other.example/',
    'https://',
    'relative/path',
    '',
    undefined,
    null,
    7,
    { href: '/' },
  ])('refuses %j', (place) => expect(resolveSafeUrl(place, BASE)).toBeUndefined());
});
