import { createSecretKey } from 'node:crypto';
import { isKeyText, type SecretBox, SecretUnreadableError } from '#tenancy';
import { IdentitySecretReusedError, IdentitySecretWeakError } from '../identity.errors.js';
import type { OwnedIdentitySecret } from '../identity.store.js';
import { identitySecretContext } from './live-identity-keys.js';

/** Fewest characters and most bytes of a secret that a customer brings along. */
export const IDENTITY_SECRET_CHARACTERS_MIN = 32;
export const IDENTITY_SECRET_BYTES_MAX = 255;

/** Newest keys of the environment, retired ones included, that a brought secret is compared with. */
export const KEYS_COMPARED_MAX = 1_000;

/** The form of a secret for the OpenAPI document. */
export const IDENTITY_SECRET_JSON_SCHEMA = {
  minLength: IDENTITY_SECRET_CHARACTERS_MIN,
  not: { pattern: '^(.)\\1*$|^\\s|\\s$' },
} as const;

/**
 * @throws IdentitySecretWeakError for an empty, short or overlong secret, with which everybody could sign; for one that is a public key or
 * an API key of ours; and for one with white space around it, which one of the two sides would trim sooner or later
 */
export function refuseWeak(secret: string): void {
  const characters = [...secret];
  const isTooLong = Buffer.byteLength(secret, 'utf8') > IDENTITY_SECRET_BYTES_MAX;
  if (characters.length < IDENTITY_SECRET_CHARACTERS_MIN || isTooLong || new Set(characters).size === 1) {
    throw new IdentitySecretWeakError(
      `an identity secret has at least ${IDENTITY_SECRET_CHARACTERS_MIN} characters and at most ${IDENTITY_SECRET_BYTES_MAX} bytes, not all of them alike`,
    );
  }
  if (secret.trim() !== secret) throw new IdentitySecretWeakError('an identity secret has no white space around it');
  if (isKeyText('pk', secret)) throw new IdentitySecretWeakError('a public key, which everybody knows, is no identity secret');
  if (isKeyText('sk', secret)) throw new IdentitySecretWeakError('an API key is no identity secret');
}

/**
 * A secret has one use, once. With one that signs both ids and tokens, somebody who chooses their id as the text of a token would get its
 * signature for a hash; and proofs of a secret that was ended must not hold again.
 *
 * @param keys those of the environment, retired ones included
 * @throws IdentitySecretReusedError when a key of the environment has this secret, or had it
 */
export function refuseReused(secret: string, keys: readonly OwnedIdentitySecret[], box: SecretBox): void {
  const brought = createSecretKey(secret, 'utf8');
  for (const { ciphertext, environmentId } of keys) {
    const text = openIfReadable(box, ciphertext, environmentId);
    if (text !== undefined && createSecretKey(text, 'utf8').equals(brought)) throw new IdentitySecretReusedError();
  }
}

/** What another installation's key sealed proves nothing any more, and must not stand in the way of a new secret. */
function openIfReadable(box: SecretBox, ciphertext: Buffer, environmentId: string): string | undefined {
  try {
    return box.open(ciphertext, identitySecretContext(environmentId));
  } catch (error) {
    if (error instanceof SecretUnreadableError) return undefined;
    throw error;
  }
}
