import { Injectable } from '@nestjs/common';
import { ExpiringCache, SecretBox } from '#tenancy';
import { IdentityStore } from '../identity.store.js';

/** How long a retired secret may go on being accepted by other instances, and a new one refused. */
export const IDENTITY_SECRETS_STALE_MS_MAX = 3_000;

const CACHE_ENTRIES_MAX = 10_000;

/** A secret in the clear; its UTF-8 bytes are the HMAC key. */
export interface LiveIdentitySecret {
  readonly id: string;
  readonly text: string;
}

/** Reads an environment's live secrets in the clear, from a bounded cache. The texts never leave this lib. */
@Injectable()
export class LiveIdentitySecrets {
  private readonly secrets = new ExpiringCache<readonly LiveIdentitySecret[]>({
    entriesMax: CACHE_ENTRIES_MAX,
    ttlMs: IDENTITY_SECRETS_STALE_MS_MAX,
  });

  constructor(
    private readonly store: IdentityStore,
    private readonly box: SecretBox,
  ) {}

  /**
   * The live secrets, newest first.
   * @throws SecretUnreadableError `secret_unreadable` under another BELFRY_SECRET_KEY
   */
  read(environmentId: string): Promise<readonly LiveIdentitySecret[]> {
    return this.secrets.getOrLoad(environmentId, async () => {
      const sealed = await this.store.listLiveSecrets(environmentId);
      return sealed.map(({ id, ciphertext }) => ({ id, text: this.box.open(ciphertext, identitySecretContext(environmentId)) }));
    });
  }

  /** Forgets one environment; this instance sees its own changes at once. */
  forget(environmentId: string): void {
    this.secrets.forget(environmentId);
  }
}

/** What a sealed identity secret belongs to: the ciphertext of one environment does not open in another. */
export function identitySecretContext(environmentId: string): { purpose: string; associatedData: string } {
  return { purpose: 'identity-secret', associatedData: environmentId };
}
