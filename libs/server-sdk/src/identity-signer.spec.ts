import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { IdentitySigner } from './identity-signer.js';
import { IdentityMistakeError } from './mistakes.js';

const PUBLIC_KEY = 'pk_live_1b2a3c4d5e6f708192a3b4c5d6e7f809';
const SECRET = 'isk_live_4f3c2b1a09e8d7c6b5a4938271605f4e';

const signer = new IdentitySigner({ publicKey: PUBLIC_KEY, secret: SECRET, now: () => 1_795_300_000_999 });

/** The code and the message of the mistake that a call is refused for. */
function mistakeOf(call: () => unknown): { code: string; message: string } {
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(IdentityMistakeError);
    return error as IdentityMistakeError;
  }
  throw new Error('nothing was refused');
}

const withKeys = (keys: { publicKey?: unknown; secret?: unknown }) =>
  mistakeOf(() => new IdentitySigner({ publicKey: PUBLIC_KEY, secret: SECRET, ...(keys as object) })).code;

describe('IdentitySigner', () => {
  it('says who, and what the hash covers, and nothing else', () => {
    const proof = { publicKey: PUBLIC_KEY, subscriberId: 'user-123', subscriberHash: expect.stringMatching(/^[0-9a-f]{64}$/) };
    expect(signer.sign('user-123')).toEqual(proof);
    expect(signer.signFresh('user-123')).toEqual({ ...proof, timestamp: 1_795_300_000 });
    expect(signer.signTraits('user-123', { plan: 'pro' })).toEqual({ ...proof, timestamp: 1_795_300_000, traits: { plan: 'pro' } });
    const group = { publicKey: PUBLIC_KEY, subscriberId: 'user-123', companyId: 'acme', companyHash: proof.subscriberHash };
    expect(signer.signGroup('user-123', 'acme')).toEqual({ ...group, timestamp: 1_795_300_000 });
    expect(signer.signGroup('user-123', 'acme', { mrr: 5 })).toEqual({ ...group, timestamp: 1_795_300_000, traits: { mrr: 5 } });
  });

  it('takes the clock of the machine unless it is given one', () => {
    const before = Math.floor(Date.now() / 1_000);
    const { timestamp = 0 } = new IdentitySigner({ publicKey: PUBLIC_KEY, secret: SECRET }).signFresh('user-123');
    expect(timestamp).toBeGreaterThanOrEqual(before);
    expect(timestamp).toBeLessThanOrEqual(Date.now() / 1_000);
  });

  it('hands back traits as they have to be sent', () => {
    const { traits } = signer.signTraits('user-123', { since: new Date(0), gone: undefined, list: [1, null], ['__proto__']: 1 });
    expect(JSON.stringify(traits)).toBe('{"since":"1970-01-01T00:00:00.000Z","list":[1,null],"__proto__":1}');
  });

  it('keeps its secret to itself', () => {
    const shown = [inspect(signer, { depth: 9, showHidden: true }), JSON.stringify(signer), ...Object.values(signer)];
    expect(shown.join(' ')).not.toContain('4f3c2b1a');
  });
});

describe('IdentitySigner on keys', () => {
  it('refuses what cannot be a public key', () => {
    for (const publicKey of [undefined, null, '', 5]) expect(withKeys({ publicKey })).toBe('public_key_missing');
    for (const publicKey of [SECRET, 'sk_live_x', 'pk_', 'pk_live_a\nb', ' pk_live_a', 'PK_live_a']) {
      expect(withKeys({ publicKey })).toBe('public_key_invalid');
    }
  });

  it('refuses a secret that is absent, short, long, worn out or padded', () => {
    for (const secret of [undefined, null, '', 5, Buffer.from(SECRET)]) expect(withKeys({ secret })).toBe('secret_missing');
    expect(withKeys({ secret: 'x1'.repeat(15) })).toBe('secret_short');
    expect(withKeys({ secret: 'x1'.repeat(128) })).toBe('secret_long');
    expect(withKeys({ secret: 'x'.repeat(64) })).toBe('secret_weak');
    for (const secret of [`${SECRET}\n`, ` ${SECRET}`, `${SECRET}\r\n`]) expect(withKeys({ secret })).toBe('secret_padded');
  });

  it('measures a secret in bytes, from 32 to 255', () => {
    for (const secret of ['x1'.repeat(16), `${'x1'.repeat(127)}x`, 'üx'.repeat(11)]) {
      expect(new IdentitySigner({ publicKey: PUBLIC_KEY, secret }).sign('a').subscriberHash).toHaveLength(64);
    }
  });

  it('refuses another kind of key in place of the secret', () => {
    expect(withKeys({ secret: PUBLIC_KEY })).toBe('secret_is_public_key');
    expect(withKeys({ secret: 'sk_live_4f3c2b1a09e8d7c6b5a4938271605f4e' })).toBe('secret_is_api_key');
  });

  it('refuses a secret and a public key of two kinds of environment', () => {
    expect(withKeys({ secret: 'isk_test_4f3c2b1a09e8d7c6b5a4938271605f4e' })).toBe('secret_of_other_environment');
    expect(withKeys({ publicKey: 'pk_test_4f3c2b1a09e8d7c6' })).toBe('secret_of_other_environment');
    const own = { publicKey: PUBLIC_KEY, secret: 'whk_test_4f3c2b1a09e8d7c6b5a4938271605f4e' };
    expect(new IdentitySigner(own).publicKey).toBe(PUBLIC_KEY);
  });

  it('says what to change without showing a key', () => {
    const { message } = mistakeOf(() => new IdentitySigner({ publicKey: PUBLIC_KEY, secret: 'sk_live_4f3c2b1a09e8d7c6b5a4938271605f4e' }));
    expect(message).toContain('isk_');
    expect(message).not.toContain('4f3c2b1a');
  });
});

describe('IdentitySigner on ids', () => {
  const signs: [string, (id: unknown) => unknown][] = [
    ['sign', (id) => signer.sign(id as string)],
    ['signFresh', (id) => signer.signFresh(id as string)],
    ['signTraits', (id) => signer.signTraits(id as string, {})],
    ['signGroup of a person', (id) => signer.signGroup(id as string, 'acme')],
    ['signGroup of a company', (id) => signer.signGroup('user-123', id as string)],
  ];

  it.each(signs)('refuses in %s what cannot be an id', (_, sign) => {
    const codeOf = (id: unknown) => mistakeOf(() => sign(id)).code;
    for (const id of [undefined, null, 123, 1n, true, {}, ['a'], Symbol('a'), () => 'a']) expect(codeOf(id)).toBe('id_not_string');
    expect(codeOf('')).toBe('id_empty');
    for (const id of ['x'.repeat(256), 'ü'.repeat(128)]) expect(codeOf(id)).toBe('id_long');
    for (const id of ['a\nb', 'a\0', '\tb', 'a\u007f', 'a\u0085']) expect(codeOf(id)).toBe('id_control_character');
    for (const id of ['\ud800', 'a\udc00b']) expect(codeOf(id)).toBe('id_lone_surrogate');
  });

  it.each(signs)('takes in %s every id that is one', (_, sign) => {
    for (const id of ['a', 'x'.repeat(255), 'ü'.repeat(127), ' a ', 'a/b?c', '\u{1f600}', '123', '[1]']) expect(sign(id)).toBeDefined();
  });

  it('refuses the text of a JSON object where the id alone is signed', () => {
    expect(mistakeOf(() => signer.sign('{"tenant":"acme"}')).code).toBe('id_is_json');
    expect(signer.signFresh('{"tenant":"acme"}').subscriberId).toBe('{"tenant":"acme"}');
  });

  it('tells what to do with a number', () => {
    expect(mistakeOf(() => signer.sign(5 as unknown as string)).message).toMatch(/string first/);
  });
});

describe('IdentitySigner on traits', () => {
  const codeOf = (traits: unknown) => mistakeOf(() => signer.signTraits('user-123', traits as Record<string, unknown>)).code;
  const nested = (depth: number): unknown => Array.from({ length: depth }).reduce((inner) => ({ a: inner }), 1);

  it('refuses what is no object, and values that JSON would change silently', () => {
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    const bad = [undefined, null, 'x', 5, [1], () => 1, new Date(), circle];
    const members = [Number.NaN, Number.POSITIVE_INFINITY, 1n, () => 1, Symbol('x'), [undefined], '\ud800', { '\udc00': 1 }];
    for (const traits of [...bad, ...members.map((a) => ({ a })), nested(33), nested(100_000)])
      expect(codeOf(traits)).toBe('traits_invalid');
    expect(codeOf({ a: 'x'.repeat(16_384) })).toBe('traits_invalid');
  });

  it('takes traits up to the limits of the gateway', () => {
    expect(signer.signTraits('user-123', nested(32) as object as Record<string, unknown>).traits).toEqual(nested(32));
    const longest = { a: 'x'.repeat(16_384 - '{"a":""}'.length) };
    expect(signer.signTraits('user-123', longest).traits).toEqual(longest);
  });
});
