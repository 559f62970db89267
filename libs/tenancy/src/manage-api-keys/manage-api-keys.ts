import { Injectable } from '@nestjs/common';
import { newUuid } from '#contracts';
import { Database } from '#database';
import { AuthenticateApiKey } from '../authenticate/authenticate-api-key.js';
import type { EnvironmentContext } from '../environment.js';
import { hashKeyText, lastFourOf, newKeyText } from '../key-text.js';
import type { Scope } from '../scopes.js';
import { ApiKeyLimitReachedError, ApiKeyNotFoundError, ScopeNotGrantableError } from '../tenancy.errors.js';
import { type ApiKey, TenancyStore } from '../tenancy.store.js';

/** Live API keys of one environment. */
export const API_KEYS_LIVE_MAX = 100;

/** Creates, lists and revokes the API keys of an environment. */
@Injectable()
export class ManageApiKeys {
  constructor(
    private readonly database: Database,
    private readonly store: TenancyStore,
    private readonly authenticate: AuthenticateApiKey,
  ) {}

  /**
   * A new key with some of the caller's scopes; `key` is its only copy.
   * @throws ScopeNotGrantableError, ApiKeyLimitReachedError
   */
  async create(caller: EnvironmentContext, wish: { name: string; scopes: readonly Scope[] }): Promise<{ apiKey: ApiKey; key: string }> {
    const beyond = wish.scopes.filter((scope) => !caller.scopes.includes(scope));
    if (beyond.length > 0) throw new ScopeNotGrantableError(beyond);
    const key = newKeyText('sk', caller.kind);
    const stored = { id: newUuid(), name: wish.name, hash: hashKeyText(key), lastFour: lastFourOf(key), scopes: [...new Set(wish.scopes)] };
    const apiKey = await this.database.transaction(async (tx) => {
      await this.store.lockEnvironment(caller.environmentId, tx);
      const live = await this.store.countLiveApiKeys(caller.environmentId, tx);
      if (live >= API_KEYS_LIVE_MAX) throw new ApiKeyLimitReachedError(API_KEYS_LIVE_MAX);
      return this.store.insertApiKey(caller.environmentId, stored, tx);
    });
    return { apiKey, key };
  }

  /** Keys in the order of their making, revoked ones included; one row more than asked for tells that there is another page. */
  list(environmentId: string, page: { limit: number; afterId?: string }): Promise<ApiKey[]> {
    return this.store.listApiKeys(environmentId, { ...page, limit: page.limit + 1 });
  }

  /**
   * Ends a key: at once in this instance, within API_KEY_STALE_MS_MAX in the others. A key may end itself.
   * @throws ApiKeyNotFoundError for an unknown or foreign id
   */
  async revoke(environmentId: string, apiKeyId: string | undefined): Promise<void> {
    const found = apiKeyId !== undefined && (await this.store.revokeApiKey(environmentId, apiKeyId));
    if (!found) throw new ApiKeyNotFoundError();
    this.authenticate.forgetAll();
  }
}
