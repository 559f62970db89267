import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IdentityMalformedError, IdentityMismatchError, IdentityMissingError } from '#identity';
import { fuzzRuns, fuzzTimeoutMs } from '#testing';
import { readBasicHash } from './basic-credentials.js';

const CLIENT = `pk_live_${'a'.repeat(43)}`;
const HASH = '74UNAPM8PikNX/kclwjI8xxmEEx2Ni16UBSyCbHuGd0=';

const basic = (text: string, encoding: BufferEncoding = 'utf8') => `Basic ${Buffer.from(text, encoding).toString('base64')}`;
const read = (authorization: string | undefined, userId = 'user-123') => readBasicHash(authorization, { clientId: CLIENT, userId });

describe('readBasicHash', () => {
  it('finds the hash behind the user of the path', () => {
    expect(read(basic(`${CLIENT}:user-123:${HASH}`))).toBe(HASH);
    expect(read(basic(`${CLIENT}:user-123:${HASH}\n`))).toBe(`${HASH}\n`);
    expect(read(`basic  ${basic(`${CLIENT}:user-123:${HASH}`).slice('Basic '.length)} `)).toBe(HASH);
  });

  it('takes both ways of having no hash', () => {
    expect(read(basic(`${CLIENT}:user-123`))).toBeUndefined();
    expect(read(basic(`${CLIENT}:user-123:`))).toBeUndefined();
  });

  it.each(['tenant:acme:user:7', ':', '::', 'a:', ':a', `a:${HASH}`])('leaves the colons of the id %j in it', (id) => {
    expect(read(basic(`${CLIENT}:${id}:${HASH}`), id)).toBe(HASH);
    expect(read(basic(`${CLIENT}:${id}`), id)).toBeUndefined();
    expect(read(basic(`${CLIENT}:${id}:`), id)).toBeUndefined();
  });

  it('lets the path alone say where an id without a hash ends', () => {
    expect(() => read(basic(`${CLIENT}:tenant:acme`), 'tenant')).not.toThrow();
    expect(read(basic(`${CLIENT}:tenant:acme`), 'tenant')).toBe('acme');
    expect(read(basic(`${CLIENT}:tenant:acme`), 'tenant:acme')).toBeUndefined();
  });

  it('reads UTF-8, and Latin-1 where it is no UTF-8', () => {
    expect(read(basic(`${CLIENT}:jürgen:${HASH}`), 'jürgen')).toBe(HASH);
    expect(read(basic(`${CLIENT}:jürgen:${HASH}`, 'latin1'), 'jürgen')).toBe(HASH);
    expect(() => read(basic(`${CLIENT}:Ã¼:${HASH}`, 'latin1'), 'Ã¼')).toThrow(IdentityMismatchError);
    expect(read(basic(`${CLIENT}:Ã¼:${HASH}`, 'latin1'), 'ü')).toBe(HASH);
  });

  it('never takes a header for another user or another client', () => {
    for (const text of [
      `${CLIENT}:other:${HASH}`,
      `${CLIENT}:user-123 :${HASH}`,
      `${CLIENT}:user-12:3:${HASH}`,
      `${CLIENT}x:user-123:${HASH}`,
    ]) {
      expect(() => read(basic(text))).toThrow(IdentityMismatchError);
    }
    expect(() => read(basic(`pk_live_${'b'.repeat(43)}:user-123:${HASH}`))).toThrow(IdentityMismatchError);
    expect(() => read(basic(`${CLIENT}:some:secret`), 'user-123')).toThrow(IdentityMismatchError);
  });

  it('tells a missing header from a broken one', () => {
    for (const nothing of [undefined, '']) expect(() => read(nothing)).toThrow(IdentityMissingError);
    for (const broken of ['Basic', 'Basic ', 'Basic !!', 'Bearer abc', 'Basic a b', `Basic ${'A'.repeat(5_000)}`, basic('x').slice(6)]) {
      expect(() => read(broken)).toThrow(IdentityMalformedError);
    }
  });

  it('gives back exactly what a client put in, for any id and any hash without a colon', { timeout: fuzzTimeoutMs(500) }, () => {
    const id = fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }).filter((text) => !/\p{Surrogate}/u.test(text));
    const hash = fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 60 }).filter((text) => !text.includes(':'));
    fc.assert(
      fc.property(id, hash, (user, sent) => {
        // Without a hash the header of another id may read the same.
        if (`${user}:${sent}` === user) return;
        expect(read(basic(`${CLIENT}:${user}:${sent}`), user)).toBe(sent);
      }),
      { numRuns: fuzzRuns(500) },
    );
  });

  it('throws nothing but refusals, and accepts no header that does not name the user', { timeout: fuzzTimeoutMs(500) }, () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.uint8Array().map((bytes) => `Basic ${Buffer.from(bytes).toString('base64')}`),
        ),
        (header) => {
          try {
            read(header);
          } catch (error) {
            expect([IdentityMissingError, IdentityMalformedError, IdentityMismatchError].some((type) => error instanceof type)).toBe(true);
            return;
          }
          expect(Buffer.from(header.slice('Basic '.length), 'base64').toString()).toContain(`${CLIENT}:user-123`);
        },
      ),
      { numRuns: fuzzRuns(500) },
    );
  });
});
