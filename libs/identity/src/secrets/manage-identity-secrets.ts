import { Injectable } from '@nestjs/common';
import { newUuid } from '#contracts';
import { Database, type Transaction } from '#database';
import { type EnvironmentKind, EnvironmentDirectory, lastFourOf, newKeyText, SecretBox } from '#tenancy';
import { IdentitySecretLimitReachedError, IdentitySecretNotFoundError } from '../identity.errors.js';
import { type IdentitySecret, IdentityStore } from '../identity.store.js';
import { SessionRevocations } from '../revoke/session-revocations.js';
import { KEYS_COMPARED_MAX, refuseReused, refuseWeak } from './brought-secret.js';
import { type KeyShare, KEY_TRAFFIC_DAYS, shareOf } from './key-life.js';
import { identitySecretContext, LiveIdentityKeys } from './live-identity-keys.js';

/** Live secrets of one environment that sign ids: the old one and the new one while both are in use. */
export const IDENTITY_SECRETS_LIVE_MAX = 2;

/** A new secret with the only copy of its text. */
export interface CreatedIdentitySecret {
  readonly identitySecret: IdentitySecret;
  /** The UTF-8 bytes of the whole text are the HMAC key. */
  readonly secret: string;
}

/** A key with its part of the proofs. */
export interface CountedIdentitySecret {
  readonly secret: IdentitySecret;
  readonly share: KeyShare;
}

/** Creates, lists and ends the secrets with which the customer's server signs subscriber ids, and ends the keys for tokens. */
@Injectable()
export class ManageIdentitySecrets {
  constructor(
    private readonly database: Database,
    private readonly store: IdentityStore,
    private readonly environments: EnvironmentDirectory,
    private readonly box: SecretBox,
    private readonly live: LiveIdentityKeys,
    private readonly revocations: SessionRevocations,
  ) {}

  /**
   * A new live secret beside the one in use: one of ours, or one that the customer's servers have already.
   * @throws IdentitySecretLimitReachedError, IdentitySecretWeakError, IdentitySecretReusedError
   */
  async create(environment: { id: string; kind: EnvironmentKind }, brought?: string): Promise<CreatedIdentitySecret> {
    if (brought !== undefined) refuseWeak(brought);
    const created = await this.database.transaction((tx) => this.createIn(environment, tx, brought));
    this.live.forget(environment.id);
    return created;
  }

  /** As {@link create}, in the caller's transaction. */
  async createIn(environment: { id: string; kind: EnvironmentKind }, tx: Transaction, brought?: string): Promise<CreatedIdentitySecret> {
    await this.environments.lock(environment.id, tx);
    const live = await this.store.listLiveSecrets(environment.id, tx);
    const signing = live.filter(({ algorithm }) => algorithm === 'HMAC-SHA256');
    if (signing.length >= IDENTITY_SECRETS_LIVE_MAX) throw new IdentitySecretLimitReachedError(IDENTITY_SECRETS_LIVE_MAX);
    if (brought !== undefined) refuseReused(brought, await this.store.listSecretsOf([environment.id], KEYS_COMPARED_MAX, tx), this.box);
    const secret = brought ?? newKeyText('isk', environment.kind);
    const ciphertext = this.box.seal(secret, identitySecretContext(environment.id));
    const identitySecret = await this.store.insertSecret(
      environment.id,
      { id: newUuid(), algorithm: 'HMAC-SHA256', keyName: null, ciphertext, lastFour: lastFourOf(secret) },
      tx,
    );
    return { identitySecret, secret };
  }

  /** Keys in the order of their making, with their shares; one more than asked for tells that there is another page. */
  async list(environmentId: string, page: { limit: number; afterId?: string }): Promise<CountedIdentitySecret[]> {
    const [secrets, traffic, live] = await Promise.all([
      this.store.listSecrets(environmentId, { ...page, limit: page.limit + 1 }),
      this.store.listTraffic(environmentId, KEY_TRAFFIC_DAYS),
      this.store.listLiveSecrets(environmentId),
    ]);
    const uses = new Map(traffic.map(({ secretId, uses: count }) => [secretId, count]));
    const liveIds = new Set(live.map(({ id }) => id));
    return secrets.map((secret) => ({ secret, share: shareOf(secret, uses, liveIds) }));
  }

  /**
   * Lets a key end after an overlap; until then both keys are accepted.
   * @throws IdentitySecretNotFoundError for an unknown or foreign id
   */
  async retire(environmentId: string, secretId: string | undefined, overlapSeconds: number): Promise<CountedIdentitySecret> {
    const retired = secretId === undefined ? undefined : await this.store.scheduleRetirement(environmentId, secretId, overlapSeconds);
    if (retired === undefined) throw new IdentitySecretNotFoundError();
    this.live.forget(environmentId);
    const traffic = await this.store.listTraffic(environmentId, KEY_TRAFFIC_DAYS);
    const live = await this.store.listLiveSecrets(environmentId);
    const uses = new Map(traffic.map(({ secretId: id, uses: count }) => [id, count]));
    return { secret: retired, share: shareOf(retired, uses, new Set(live.map(({ id }) => id))) };
  }

  /**
   * Ends a key for a compromise: at once in this instance, within IDENTITY_KEYS_STALE_MS_MAX in the others, together with the sessions
   * that were opened with it. The last live key may be ended too: nobody can open a session then.
   * @throws IdentitySecretNotFoundError for an unknown or foreign id
   */
  async kill(environmentId: string, secretId: string | undefined): Promise<void> {
    const killedAt = secretId === undefined ? undefined : await this.store.killSecret(environmentId, secretId);
    if (secretId === undefined || killedAt === undefined) throw new IdentitySecretNotFoundError();
    this.live.forget(environmentId);
    this.revocations.learnKey(secretId, killedAt);
  }
}
