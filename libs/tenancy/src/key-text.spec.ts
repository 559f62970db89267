import { describe, expect, it } from 'vitest';
import { hashKeyText, isKeyText, lastFourOf, newKeyText } from './key-text.js';

describe('key texts', () => {
  it('shows the kind of key and of environment', () => {
    expect(newKeyText('sk', 'production')).toMatch(/^sk_live_[0-9A-Za-z]{43}$/);
    expect(newKeyText('sk', 'development')).toMatch(/^sk_test_[0-9A-Za-z]{43}$/);
    expect(newKeyText('pk', 'production')).toMatch(/^pk_live_[0-9A-Za-z]{43}$/);
    expect(newKeyText('isk', 'development')).toMatch(/^isk_test_[0-9A-Za-z]{43}$/);
  });

  it('never repeats a key', () => {
    const keys = new Set(Array.from({ length: 1_000 }, () => newKeyText('sk', 'production')));
    expect(keys.size).toBe(1_000);
  });

  it('recognises its own keys and nothing else', () => {
    const key = newKeyText('sk', 'production');
    expect(isKeyText('sk', key)).toBe(true);
    for (const text of ['', 'sk_live_', key.slice(0, -1), `${key}0`, `${key}\n`, ` ${key}`, key.toUpperCase(), key.replace('sk_', 'pk_')]) {
      expect(isKeyText('sk', text)).toBe(false);
    }
  });

  it('keeps a SHA-256 and the last four characters of a key', () => {
    expect(hashKeyText('abc').toString('hex')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
    expect(lastFourOf('sk_live_abcdefgh')).toBe('efgh');
  });
});
