import { createSecretKey } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isSubscriberId, type Proof, type Verdict, verifyProof } from '#identity';
import { type GroupProof, IdentityMistakeError, IdentitySigner, type SubscriberProof } from '#server-sdk';
import { fuzzRuns } from '#testing';

/** What the package for customers' servers signs, as our verifier reads it. */

interface Vector {
  readonly name: string;
  readonly secret: string;
  readonly id: string;
  readonly hex: string;
  readonly accept: boolean;
}

const VECTORS_FILE = fileURLToPath(new URL('../../../shared/data/identity-vectors.json', import.meta.url));
const PUBLIC_KEY = 'pk_live_1b2a3c4d5e6f708192a3b4c5d6e7f809';
const SECRET = 'isk_live_4f3c2b1a09e8d7c6b5a4938271605f4e';
const NOW = 1_795_300_000;

const signerOf = (secret = SECRET, publicKey = PUBLIC_KEY) => new IdentitySigner({ publicKey, secret, now: () => NOW * 1_000 });
const signer = signerOf();

/** The proof after its way over the wire, as JSON. */
function verify(proof: Proof, { publicKey = PUBLIC_KEY, secret = SECRET, now = NOW + 300 } = {}): Promise<Verdict> {
  const hashKeys = [{ id: 'key', key: createSecretKey(secret, 'utf8') }];
  return verifyProof({ publicKey, hashKeys, tokenKeys: [] }, 'session', JSON.parse(JSON.stringify(proof)) as Proof, now);
}

const ofSubscriber = ({ subscriberId: id, subscriberHash: hash, timestamp, traits }: SubscriberProof): Proof => {
  return { kind: 'subscriber', id, hash, timestamp, traits };
};
const ofCompany = ({ companyId: id, companyHash: hash, subscriberId, timestamp, traits }: GroupProof): Proof => {
  return { kind: 'company', id, subscriberId, hash, timestamp, traits };
};

describe('the proofs of @belfry/server', { timeout: 60_000 }, () => {
  it('are worth the grades that they say', async () => {
    const traits = { plan: 'pro', seats: 3 };
    const grades = {
      sign: ofSubscriber(signer.sign('user-123')),
      signFresh: ofSubscriber(signer.signFresh('user-123')),
      signTraits: ofSubscriber(signer.signTraits('user-123', traits)),
      signGroup: ofCompany(signer.signGroup('user-123', 'acme')),
      signGroupTraits: ofCompany(signer.signGroup('user-123', 'acme', traits)),
    };
    const found = await Promise.all(Object.values(grades).map((proof) => verify(proof)));
    expect(found).toMatchObject([
      { kind: 'subscriber', id: 'user-123', grade: 'static', form: 'plain' },
      { kind: 'subscriber', id: 'user-123', grade: 'fresh', form: 'v2', issuedAtSeconds: NOW },
      { kind: 'subscriber', id: 'user-123', grade: 'traits', form: 'v2', traits },
      { kind: 'company', id: 'acme', grade: 'fresh', form: 'v2' },
      { kind: 'company', id: 'acme', grade: 'traits', form: 'v2', traits },
    ]);
  });

  it('are good for one environment, one secret and 300 seconds', async () => {
    for (const proof of [ofSubscriber(signer.signFresh('user-123')), ofCompany(signer.signGroup('user-123', 'acme'))]) {
      expect((await verify(proof, { now: NOW + 301 })).reason).toBe('expired');
      expect((await verify(proof, { publicKey: 'pk_live_other' })).reason).toBe('mismatch');
      expect((await verify(proof, { secret: `${SECRET}x` })).reason).toBe('mismatch');
      expect((await verify({ ...proof, id: 'other' })).reason).toBe('mismatch');
    }
    const ofOther = ofCompany({ ...signer.signGroup('user-123', 'acme'), subscriberId: 'user-124' });
    expect((await verify(ofOther)).reason).toBe('mismatch');
  });

  it('are made of every id that the verifier takes, and of no other', async () => {
    const ids = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.string({ unit: fc.constantFrom('a', 'ü', '\n', '\ud800', '{', '}') }),
    );
    await fc.assert(
      fc.asyncProperty(ids, async (id) => {
        const proof = attempt(() => ofSubscriber(signer.signFresh(id)));
        expect(proof !== undefined).toBe(isSubscriberId(id));
        if (proof !== undefined) expect((await verify(proof)).reason).toBe('valid');
        const plain = attempt(() => ofSubscriber(signer.sign(id)));
        if (plain !== undefined) expect((await verify(plain)).reason).toBe('valid');
      }),
      { numRuns: fuzzRuns(100) },
    );
  });

  it('cover whatever traits JSON can say', async () => {
    await fc.assert(
      fc.asyncProperty(fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue({ maxDepth: 4 })), async (traits) => {
        const proof = attempt(() => ofSubscriber(signer.signTraits('user-123', traits)));
        if (proof === undefined) return;
        expect(await verify(proof)).toMatchObject({ grade: 'traits' });
        expect((await verify({ ...proof, traits: { ...traits, forged: 1 } } as Proof)).reason).toBe('mismatch');
      }),
      { numRuns: fuzzRuns(100) },
    );
  });
});

const vectors = readVectors();

/** The vectors that lie beside the repository; a clone without them says so and goes on. */
function readVectors(): Vector[] {
  if (existsSync(VECTORS_FILE)) return (JSON.parse(readFileSync(VECTORS_FILE, 'utf8')) as { vectors: Vector[] }).vectors;
  console.warn(`SKIPPED: the shared identity vectors are not at ${VECTORS_FILE}`);
  return [];
}

describe('@belfry/server with the shared vectors', () => {
  it.skipIf(vectors.length === 0)('signs the vectors that are to be accepted', () => {
    // One secret of the vectors is a single character over and over, which the package refuses.
    const signed = vectors.filter(({ accept, secret }) => accept && new Set(secret).size > 1);
    expect(signed.length).toBeGreaterThan(3);
    for (const { name, secret, id, hex } of signed.filter((vector) => !vector.id.startsWith('{'))) {
      expect([name, signerOf(secret).sign(id).subscriberHash]).toEqual([name, hex]);
    }
  });

  it.skipIf(vectors.length === 0)('refuses to sign the ids that are to be refused', () => {
    const refused = vectors.filter(({ accept }) => !accept);
    expect(refused.length).toBeGreaterThan(0);
    for (const { name, secret, id } of refused) expect([name, attempt(() => signerOf(secret).sign(id))]).toEqual([name, undefined]);
  });
});

/** The proof, or nothing where the signer refuses to make it. */
function attempt<T>(sign: () => T): T | undefined {
  try {
    return sign();
  } catch (error) {
    if (error instanceof IdentityMistakeError) return undefined;
    throw error;
  }
}
