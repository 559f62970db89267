import { z } from 'zod';
import { encodeId } from '#contracts';
import type { IdentitySecret } from '../identity.store.js';
import { TOKEN_ALGORITHMS } from '../verify/proof.js';
import { KEY_STATES, keyStateOf, type KeyShare } from './key-life.js';

const keyFields = {
  id: z.string(),
  algorithm: z.enum(['HMAC-SHA256', ...TOKEN_ALGORITHMS]).meta({ description: 'HMAC-SHA256 signs ids; the others verify tokens.' }),
  kid: z.string().nullable().meta({ description: 'The name by which tokens mean the key.' }),
  last_four: z.string().meta({ description: 'The end of the secret, or of the kid of a public key, to tell keys apart.' }),
  created_at: z.string(),
};

/** A key as the API shows it. */
export const identitySecretSchema = z
  .object({
    ...keyFields,
    state: z.enum(KEY_STATES).meta({ description: '`created` -> `in_use` -> `retiring` -> `retired`.' }),
    first_used_at: z.string().nullable(),
    last_used_at: z.string().nullable(),
    retires_at: z.string().nullable().meta({ description: 'The end of the overlap of a retiring key.' }),
    retired_at: z.string().nullable(),
    uses_7d: z.int().meta({ description: 'Proofs made with the key in the last seven days.' }),
    share_7d: z.number().nullable().meta({ description: 'Its part of all proofs of these days, 0 to 1; null when there were none.' }),
    safe_to_retire: z.boolean().meta({ description: 'It was in use, made no proof for seven days, and another live key did.' }),
  })
  .meta({ id: 'IdentitySecret' });

/** A new key, with its secret where there is one. */
export const createdIdentitySecretSchema = z
  .object({ ...keyFields, secret: z.string().meta({ description: 'The secret itself. It is shown this once and cannot be read again.' }) })
  .meta({ id: 'CreatedIdentitySecret' });

export type IdentitySecretView = z.infer<typeof identitySecretSchema>;

/** Shows a key with its share. */
export function presentSecret(secret: IdentitySecret, { uses, share, safeToRetire }: KeyShare): IdentitySecretView {
  return {
    ...presentKey(secret),
    state: keyStateOf(secret),
    first_used_at: secret.firstUsedAt?.toISOString() ?? null,
    last_used_at: secret.lastUsedAt?.toISOString() ?? null,
    retires_at: secret.retireAt?.toISOString() ?? null,
    retired_at: secret.retiredAt?.toISOString() ?? null,
    uses_7d: uses,
    share_7d: share,
    safe_to_retire: safeToRetire,
  };
}

/** Shows what is known of a key from the beginning. */
export function presentKey(secret: IdentitySecret) {
  return {
    id: encodeId('identitySecret', secret.id),
    algorithm: secret.algorithm,
    kid: secret.keyName,
    last_four: secret.lastFour,
    created_at: secret.createdAt.toISOString(),
  };
}
