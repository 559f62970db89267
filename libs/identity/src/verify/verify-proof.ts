import { type Proof, type ProofEnvironment, type Verdict, type VerifiedSurface } from './proof.js';
import { refuser, verifyHash } from './verify-hash.js';
import { verifyToken } from './verify-token.js';

/**
 * Verifies a proof for a surface: the one entry that every route and every dialect goes through. Pure: no lookup, no clock, no exception
 * for any input; whatever it needs of the environment was loaded before, and nothing is looked up or created until it says `valid`.
 *
 * Refusals that depend on the claim alone (types, sizes, grammar) come before any crypto; those that say something about a proof which is
 * otherwise right (expired, another tenant, another surface) come after it. An unknown environment, an unknown subscriber and a wrong hash
 * are all `mismatch`, found with the same work.
 *
 * @param nowSeconds Unix time.
 */
export async function verifyProof(
  environment: ProofEnvironment,
  surface: VerifiedSurface,
  proof: Proof,
  nowSeconds: number,
): Promise<Verdict> {
  const verdict = await verifyForm(environment, proof, nowSeconds);
  if (!verdict.valid || surface === 'session' || verdict.surfaces.includes(surface)) return verdict;
  return { ...refuser(proof.kind)('scope_missing', `The "aud" of the token does not name the surface ${surface}.`), keyId: verdict.keyId };
}

async function verifyForm(environment: ProofEnvironment, proof: Proof, nowSeconds: number): Promise<Verdict> {
  if (proof.kind !== 'subscriber' || isAbsent(proof.token)) return verifyHash(environment, proof, nowSeconds);
  if (!isAbsent(proof.hash)) return refuser(proof.kind)('malformed', 'Send a hash or a token, not both.');
  return verifyToken(environment, proof, nowSeconds);
}

function isAbsent(value: unknown): boolean {
  return value === undefined || value === null || value === '';
}
