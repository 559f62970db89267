import { Injectable } from '@nestjs/common';
import { newUuid } from '#contracts';
import { Database, type Transaction } from '#database';
import { type EnvironmentKind, EnvironmentDirectory, lastFourOf, newKeyText, SecretBox } from '#tenancy';
import { IdentitySecretLimitReachedError, IdentitySecretNotFoundError } from '../identity.errors.js';
import { type IdentitySecret, IdentityStore } from '../identity.store.js';
import { identitySecretContext, LiveIdentityKeys } from './live-identity-keys.js';

/** Live secrets of one environment: the old one and the new one while both are in use. */
export const IDENTITY_SECRETS_LIVE_MAX = 2;

/** A new secret with the only copy of its text. */
export interface CreatedIdentitySecret {
  readonly identitySecret: IdentitySecret;
  /** `isk_…`; the UTF-8 bytes of the whole text are the HMAC key. */
  readonly secret: string;
}

/** Creates, lists and retires the secrets with which the customer's server signs subscriber ids. */
@Injectable()
export class ManageIdentitySecrets {
  constructor(
    private readonly database: Database,
    private readonly store: IdentityStore,
    private readonly environments: EnvironmentDirectory,
    private readonly box: SecretBox,
    private readonly live: LiveIdentityKeys,
  ) {}

  /**
   * A new live secret beside the one in use.
   * @throws IdentitySecretLimitReachedError
   */
  async create(environment: { id: string; kind: EnvironmentKind }): Promise<CreatedIdentitySecret> {
    const created = await this.database.transaction((tx) => this.createIn(environment, tx));
    this.live.forget(environment.id);
    return created;
  }

  /** As {@link create}, in the caller's transaction. */
  async createIn(environment: { id: string; kind: EnvironmentKind }, tx: Transaction): Promise<CreatedIdentitySecret> {
    await this.environments.lock(environment.id, tx);
    const live = await this.store.listLiveSecrets(environment.id, tx);
    if (live.length >= IDENTITY_SECRETS_LIVE_MAX) throw new IdentitySecretLimitReachedError(IDENTITY_SECRETS_LIVE_MAX);
    const secret = newKeyText('isk', environment.kind);
    const ciphertext = this.box.seal(secret, identitySecretContext(environment.id));
    const identitySecret = await this.store.insertSecret(environment.id, { id: newUuid(), ciphertext, lastFour: lastFourOf(secret) }, tx);
    return { identitySecret, secret };
  }

  /** Secrets in the order of their making; one row more than asked for tells that there is another page. */
  list(environmentId: string, page: { limit: number; afterId?: string }): Promise<IdentitySecret[]> {
    return this.store.listSecrets(environmentId, { ...page, limit: page.limit + 1 });
  }

  /**
   * Ends a secret: at once in this instance, within IDENTITY_KEYS_STALE_MS_MAX in the others. Sessions opened with it cannot be
   * refreshed any more. The last live secret may be retired too: nobody can open a session then.
   * @throws IdentitySecretNotFoundError for an unknown or foreign id
   */
  async retire(environmentId: string, secretId: string | undefined): Promise<void> {
    const found = secretId !== undefined && (await this.store.retireSecret(environmentId, secretId));
    if (!found) throw new IdentitySecretNotFoundError();
    this.live.forget(environmentId);
  }
}
