import type { Database } from '#database';
import { newUuid } from '#contracts';
import type { EnvironmentKind } from '../environment.js';
import { hashKeyText, lastFourOf, newKeyText } from '../key-text.js';
import { type Scope, SCOPES } from '../scopes.js';
import { TenancyStore } from '../tenancy.store.js';

/** What {@link seedEnvironment} may differ in. */
export interface SeedEnvironmentOptions {
  readonly kind?: EnvironmentKind;
  readonly scopes?: readonly Scope[];
  readonly allowedOrigins?: readonly string[];
}

/** An environment for a test, with the texts of its keys. */
export interface SeededEnvironment {
  readonly environmentId: string;
  readonly workspaceId: string;
  readonly apiKey: string;
  readonly apiKeyId: string;
  readonly publicKey: string;
}

/** For tests: an environment in a workspace of its own, with an API key of all scopes unless said otherwise. */
export async function seedEnvironment(database: Database, options: SeedEnvironmentOptions = {}): Promise<SeededEnvironment> {
  const store = new TenancyStore(database);
  const kind = options.kind ?? 'production';
  const apiKey = newKeyText('sk', kind);
  const seeded = { environmentId: newUuid(), workspaceId: newUuid(), apiKey, apiKeyId: newUuid(), publicKey: newKeyText('pk', kind) };
  const { environmentId, workspaceId, apiKeyId, publicKey } = seeded;
  await database.transaction(async (tx) => {
    await store.insertWorkspace({ id: workspaceId, name: 'test' }, tx);
    await store.insertEnvironment({ id: environmentId, workspaceId, name: kind, kind, publicKey }, tx);
    await store.updateAllowedOrigins(environmentId, options.allowedOrigins ?? [], tx);
    const key = { id: apiKeyId, name: 'test', hash: hashKeyText(apiKey), lastFour: lastFourOf(apiKey), scopes: options.scopes ?? SCOPES };
    await store.insertApiKey(environmentId, key, tx);
  });
  return seeded;
}
