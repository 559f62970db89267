import { createHmac } from 'node:crypto';
import type { Database } from '#database';
import { newUuid } from '#contracts';
import { lastFourOf, newKeyText, type SecretBox } from '#tenancy';
import { IdentityStore } from '../identity.store.js';
import { identitySecretContext } from '../secrets/live-identity-keys.js';

/** For tests: a live identity secret of an environment, in the clear. */
export async function seedIdentitySecret(
  database: Database,
  box: SecretBox,
  environmentId: string,
  secret: string = newKeyText('isk', 'production'),
): Promise<{ id: string; secret: string }> {
  const sealed = {
    id: newUuid(),
    algorithm: 'HMAC-SHA256' as const,
    keyName: null,
    ciphertext: box.seal(secret, identitySecretContext(environmentId)),
    lastFour: lastFourOf(secret),
  };
  await new IdentityStore(database).insertSecret(environmentId, sealed);
  return { id: sealed.id, secret };
}

/** For tests: the hash that the customer's server would send, in hex. */
export function signSubscriberId(externalId: string, secret: string): string {
  return createHmac('sha256', secret).update(externalId, 'utf8').digest('hex');
}
