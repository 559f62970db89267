import { decodeProofHash } from '#identity';

/** A hash of a query, and whether it had to be mended. */
export interface QueryHash {
  readonly hash: string;
  readonly isRepaired: boolean;
}

/**
 * The hash as it was before a client put it into a query without escaping it: there a plus sign means a space, and base64 has no spaces.
 * Spaces around a hash that is whole mean nothing and stay for the verifier to trim.
 */
export function repairQueryHash(hash: string): QueryHash {
  if (!hash.includes(' ') || decodeProofHash(hash) !== undefined) return { hash, isRepaired: false };
  return { hash: hash.replaceAll(' ', '+'), isRepaired: true };
}
