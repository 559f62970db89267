import { describe, expect, it } from 'vitest';
import { isSafeUrl } from './safe-url.js';

describe('isSafeUrl', () => {
  it.each([
    'https://example.com',
    'https://example.com/a?b=c#d',
    '/orders/1',
    '/',
    '/?x=1',
    'http://localhost:3000/x',
    'http://127.0.0.1/',
    'http://[::1]:80/',
  ])('accepts %s', (url) => expect(isSafeUrl(url)).toBe(true));

  it.each([
    '',
    'javascript:alert(1)',
    'JaVaScRiPt:alert(1)',
    'java\tscript:alert(1)',
    ' https://example.com',
    'data:text/html,x',
    'vbscript:x',
    'blob:https://example.com/x',
    'file:///etc/passwd',
    'http://example.com',
    'http://localhost.example.com',
    '//example.com',
    '/\\example.com',
    '/\t/example.com',
    '\\\\example.com',
    'https://user:secret@example.com',
    'https://user@example.com',
    'https://',
    'example.com',
    'orders/1',
    '#top',
    'https://example.com/a b',
    `https://example.com/${'a'.repeat(2_000)}`,
  ])('refuses %j', (url) => expect(isSafeUrl(url)).toBe(false));
});
