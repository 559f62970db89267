import { Injectable } from '@nestjs/common';
import type { EnvironmentContext } from '../environment.js';
import { ExpiringCache } from '../expiring-cache.js';
import { hashKeyText, isKeyText } from '../key-text.js';
import { ApiKeyInvalidError } from '../tenancy.errors.js';
import { TenancyStore } from '../tenancy.store.js';

/** How long a revoked key may go on working in other instances. */
export const API_KEY_STALE_MS_MAX = 3_000;

const CACHE_ENTRIES_MAX = 10_000;

/**
 * Turns an API key into the environment on whose behalf its holder acts. Only found keys stay in the cache, so a new key works at
 * once and invented keys push nobody out for long.
 */
@Injectable()
export class AuthenticateApiKey {
  private readonly contexts = new ExpiringCache<EnvironmentContext>({ entriesMax: CACHE_ENTRIES_MAX, ttlMs: API_KEY_STALE_MS_MAX });

  constructor(private readonly store: TenancyStore) {}

  /** @throws ApiKeyInvalidError `api_key_invalid` for a malformed, unknown or revoked key */
  async run(key: string): Promise<EnvironmentContext> {
    if (!isKeyText('sk', key)) throw new ApiKeyInvalidError();
    const hash = hashKeyText(key);
    return this.contexts.getOrLoad(hash.toString('base64'), async () => {
      const context = await this.store.findContextByKeyHash(hash);
      if (context === undefined) throw new ApiKeyInvalidError();
      return context;
    });
  }

  /** Forgets all keys; this instance sees its own revocations at once. */
  forgetAll(): void {
    this.contexts.clear();
  }
}
