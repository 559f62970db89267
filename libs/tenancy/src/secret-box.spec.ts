import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { parseSecretKey, SecretBox } from './secret-box.js';
import { SecretUnreadableError } from './tenancy.errors.js';

const box = new SecretBox(randomBytes(32));
const context = { purpose: 'identity-secret', associatedData: 'environment-a' };

describe('SecretBox', () => {
  it('opens what it sealed', () => {
    for (const text of ['', 'isk_live_x', 'jürgen \u{1f600}', 'x'.repeat(10_000)])
      expect(box.open(box.seal(text, context), context)).toBe(text);
  });

  it('never makes the same ciphertext twice', () => {
    expect(box.seal('secret', context).equals(box.seal('secret', context))).toBe(false);
  });

  it('refuses a ciphertext that was moved to another environment or purpose', () => {
    const sealed = box.seal('secret', context);
    expect(() => box.open(sealed, { ...context, associatedData: 'environment-b' })).toThrow(SecretUnreadableError);
    expect(() => box.open(sealed, { ...context, purpose: 'device-endpoint' })).toThrow(SecretUnreadableError);
  });

  it('refuses every damaged byte and every truncation', () => {
    const sealed = box.seal('secret', context);
    for (let position = 0; position < sealed.length; position += 1) {
      const damaged = Buffer.from(sealed);
      damaged[position] = (damaged[position] ?? 0) ^ 1;
      expect(() => box.open(damaged, context)).toThrow(SecretUnreadableError);
      expect(() => box.open(sealed.subarray(0, position), context)).toThrow(SecretUnreadableError);
    }
  });

  it('names the cause when the key of the installation is another one', () => {
    const sealed = new SecretBox(randomBytes(32)).seal('secret', context);
    expect(() => box.open(sealed, context)).toThrow('another BELFRY_SECRET_KEY');
  });

  it('derives the same key for the same purpose only', () => {
    const key = randomBytes(32);
    expect(new SecretBox(key).deriveKey('a').equals(new SecretBox(key).deriveKey('a'))).toBe(true);
    expect(new SecretBox(key).deriveKey('a').equals(new SecretBox(key).deriveKey('b'))).toBe(false);
  });
});

describe('parseSecretKey', () => {
  it('takes canonical base64 of 32 bytes only', () => {
    const text = randomBytes(32).toString('base64');
    expect(parseSecretKey(text)).toHaveLength(32);
    for (const bad of ['', 'x', text.slice(0, -1), `${text} `, randomBytes(31).toString('base64'), randomBytes(33).toString('base64')]) {
      expect(parseSecretKey(bad)).toBeUndefined();
    }
  });

  it('refuses a second spelling of the same bytes', () => {
    const canonical = Buffer.alloc(32).toString('base64');
    const malleable = canonical.replace(/A=$/, 'B=');
    expect(Buffer.from(malleable, 'base64').equals(Buffer.from(canonical, 'base64'))).toBe(true);
    expect(parseSecretKey(malleable)).toBeUndefined();
  });
});
