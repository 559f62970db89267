import { createSecretKey } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { ExpiringCache, SecretBox } from '#tenancy';
import { IdentityStore } from '../identity.store.js';
import type { HashKey, TokenKey } from '../verify/proof.js';
import { openTokenKey } from './token-key.js';

/** How long a retired key may go on being accepted by other instances, and a new one refused. */
export const IDENTITY_KEYS_STALE_MS_MAX = 3_000;

const CACHE_ENTRIES_MAX = 10_000;

/** The keys with which proofs of an environment may be made now. Every one has an id. */
export interface LiveKeys {
  /** Newest first. */
  readonly hashKeys: readonly (HashKey & { readonly id: string })[];
  readonly tokenKeys: readonly (TokenKey & { readonly id: string })[];
}

const NO_KEYS: LiveKeys = { hashKeys: [], tokenKeys: [] };

/** Reads an environment's live keys, ready for use, from a bounded cache. They never leave this lib. */
@Injectable()
export class LiveIdentityKeys {
  private readonly keys = new ExpiringCache<LiveKeys>({ entriesMax: CACHE_ENTRIES_MAX, ttlMs: IDENTITY_KEYS_STALE_MS_MAX });

  constructor(
    private readonly store: IdentityStore,
    private readonly box: SecretBox,
  ) {}

  /**
   * The live keys; none for an unknown environment.
   * @throws SecretUnreadableError `secret_unreadable` under another BELFRY_SECRET_KEY
   */
  read(environmentId: string | undefined): Promise<LiveKeys> {
    if (environmentId === undefined) return Promise.resolve(NO_KEYS);
    return this.keys.getOrLoad(environmentId, () => this.load(environmentId));
  }

  /** Is this key live? A session can be refreshed only as long as the key behind it is. */
  async isLive(environmentId: string, keyId: string): Promise<boolean> {
    const { hashKeys, tokenKeys } = await this.read(environmentId);
    return [...hashKeys, ...tokenKeys].some(({ id }) => id === keyId);
  }

  /** Forgets one environment; this instance sees its own changes at once. */
  forget(environmentId: string): void {
    this.keys.forget(environmentId);
  }

  private async load(environmentId: string): Promise<LiveKeys> {
    const hashKeys: (HashKey & { id: string })[] = [];
    const tokenKeys: (TokenKey & { id: string })[] = [];
    for (const { id, algorithm, keyName, ciphertext } of await this.store.listLiveSecrets(environmentId)) {
      const text = this.box.open(ciphertext, identitySecretContext(environmentId));
      if (algorithm === 'HMAC-SHA256') hashKeys.push({ id, key: createSecretKey(text, 'utf8') });
      else tokenKeys.push({ id, algorithm, key: openTokenKey(algorithm, text), ...(keyName === null ? {} : { kid: keyName }) });
    }
    return { hashKeys, tokenKeys };
  }
}

/** What a sealed identity secret belongs to: the ciphertext of one environment does not open in another. */
export function identitySecretContext(environmentId: string): { purpose: string; associatedData: string } {
  return { purpose: 'identity-secret', associatedData: environmentId };
}
