import { execFileSync } from 'node:child_process';
import { createHash, createHmac, createSecretKey } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { canonicalJson, type Proof, verifyProof } from '#identity';
import { type GroupProof, IdentitySigner, type SubscriberProof } from '#server-sdk';
import { readRecipeVectors, type RecipeVector } from './recipe-vectors.js';

/** The committed vectors against everything that can compute or verify them; what the recipes print is compared with them elsewhere. */

const { public_key: publicKey, secret, seconds, vectors } = readRecipeVectors();
const signer = new IdentitySigner({ publicKey, secret, now: () => seconds * 1_000 });

const GRADES: Readonly<Record<string, string>> = {
  plain: 'static',
  base64: 'static',
  dotted: 'fresh',
  'v2-subscriber': 'fresh',
  'v2-traits': 'traits',
  'v2-company': 'fresh',
};

const traitsOf = (pairs: readonly string[]) => Object.fromEntries(pairs.map((pair) => pair.split(/=(.*)/s).slice(0, 2)));

/** The claim that a page makes with the vector. */
function proofOf({ arguments: [form, id, ...rest], hash }: RecipeVector): Proof {
  if (form === 'v2-company') return { kind: 'company', id: rest[0], subscriberId: id, hash, timestamp: rest[1] };
  const traits = form === 'v2-traits' ? traitsOf(rest.slice(1)) : undefined;
  return { kind: 'subscriber', id, hash, timestamp: rest[0], traits };
}

describe.each(vectors)('the vector "$name"', (vector) => {
  const [form, , ...rest] = vector.arguments;
  const encoding = form === 'base64' ? 'base64' : 'hex';

  it('is accepted at the grade of its form', async () => {
    const environment = { publicKey, hashKeys: [{ id: 'key', key: createSecretKey(secret, 'utf8') }], tokenKeys: [] };
    expect(await verifyProof(environment, 'session', proofOf(vector), seconds)).toMatchObject({ valid: true, grade: GRADES[form] });
  });

  it('is the MAC of its text', () => {
    expect(createHmac('sha256', secret).update(vector.text, 'utf8').digest(encoding)).toBe(vector.hash);
    if (vector.canonical === undefined) return;
    expect(canonicalJson(traitsOf(rest.slice(1)))).toBe(vector.canonical);
    expect(vector.text.split('\n').at(-1)).toBe(createHash('sha256').update(vector.canonical, 'utf8').digest('hex'));
  });

  it.skipIf(!hasOpenSsl())('is what openssl computes', () => {
    const key = `hexkey:${Buffer.from(secret, 'utf8').toString('hex')}`;
    const mac = execFileSync('openssl', ['dgst', '-sha256', '-mac', 'HMAC', '-macopt', key, '-binary'], { input: vector.text });
    expect(mac.toString(encoding)).toBe(vector.hash);
  });
});

const SIGNED = vectors.filter(({ arguments: [form] }) => form !== 'base64' && form !== 'dotted');

describe.each(SIGNED)('@belfry/server and the vector "$name"', ({ arguments: [form, id, ...rest], hash }) => {
  it('are of one mind', () => {
    const signed: Record<string, () => SubscriberProof | GroupProof> = {
      plain: () => signer.sign(id),
      'v2-subscriber': () => signer.signFresh(id),
      'v2-traits': () => signer.signTraits(id, traitsOf(rest.slice(1))),
      'v2-company': () => signer.signGroup(id, rest[0] ?? ''),
    };
    expect(Object.values(signed[form]?.() ?? {})).toContain(hash);
  });
});

describe('the vectors', () => {
  it('hold every form', () => {
    expect([...new Set(vectors.map(({ arguments: [form] }) => form))].sort()).toEqual(Object.keys(GRADES).sort());
  });
});

function hasOpenSsl(): boolean {
  try {
    return execFileSync('openssl', ['version'], { encoding: 'utf8' }).startsWith('OpenSSL');
  } catch {
    return false;
  }
}
