import { Injectable } from '@nestjs/common';
import { decodeId } from '#contracts';
import type { Sql } from '#database';
import { isLoopbackOrigin, ORIGIN_LENGTH_MAX } from './allowed-origins.js';
import type { Environment } from './environment.js';
import { ExpiringCache } from './expiring-cache.js';
import { isKeyText } from './key-text.js';
import { EnvironmentNotFoundError } from './tenancy.errors.js';
import { TenancyStore } from './tenancy.store.js';

/** How long a change of an environment (its allowed origins) may stay unseen by other instances. */
export const ENVIRONMENT_STALE_MS_MAX = 5_000;

/** Environments of one workspace that are looked at together. */
const ENVIRONMENTS_LISTED_MAX = 100;

const CACHE_ENTRIES_MAX = 10_000;
const CACHE_LIMITS = { entriesMax: CACHE_ENTRIES_MAX, ttlMs: ENVIRONMENT_STALE_MS_MAX };

/**
 * Finds environments for the other contexts. Answers come from bounded caches for at most {@link ENVIRONMENT_STALE_MS_MAX}, "there is
 * none" included, so that asking for an unknown environment takes as long as asking for a known one.
 */
@Injectable()
export class EnvironmentDirectory {
  private readonly byId = new ExpiringCache<Environment | undefined>(CACHE_LIMITS);
  private readonly byPublicKey = new ExpiringCache<Environment | undefined>(CACHE_LIMITS);
  private readonly listedOrigins = new ExpiringCache<boolean>(CACHE_LIMITS);

  constructor(private readonly store: TenancyStore) {}

  /** The environment of an id, `undefined` when there is none. */
  find(environmentId: string): Promise<Environment | undefined> {
    return this.byId.getOrLoad(environmentId, () => this.store.findEnvironment(environmentId));
  }

  /** As {@link find}, where the answer is there without waiting; `undefined` says nothing. */
  peek(environmentId: string): Environment | undefined {
    return this.byId.peek(environmentId);
  }

  /** The environment of a public key `pk_…`. A text of another shape costs no query. */
  async findByPublicKey(publicKey: string): Promise<Environment | undefined> {
    if (!isKeyText('pk', publicKey)) return undefined;
    return this.byPublicKey.getOrLoad(publicKey, () => this.store.findEnvironmentByPublicKey(publicKey));
  }

  /** All environments of a workspace, oldest first. */
  listOfWorkspace(workspaceId: string): Promise<Environment[]> {
    return this.store.listEnvironmentsOfWorkspace(workspaceId, ENVIRONMENTS_LISTED_MAX);
  }

  /**
   * The environment that a person means: by id (`env_…`), by public key, or by its name where no second workspace has one of that name.
   *
   * @throws EnvironmentNotFoundError
   */
  async resolve(text: string): Promise<Environment> {
    const id = decodeId('environment', text);
    const [found, ...others] = id === undefined ? await this.findByText(text) : [await this.find(id)];
    if (found === undefined) throw new EnvironmentNotFoundError(`There is no environment "${text}".`);
    if (others.length > 0) throw new EnvironmentNotFoundError(`Several workspaces have an environment "${text}".`);
    return found;
  }

  private async findByText(text: string): Promise<readonly (Environment | undefined)[]> {
    return isKeyText('pk', text) ? [await this.findByPublicKey(text)] : this.store.findEnvironmentsByName(text, 2);
  }

  /** May pages of this origin act for at least one environment? For CORS preflights, which name no environment. */
  async isOriginKnown(origin: string): Promise<boolean> {
    if (origin.length > ORIGIN_LENGTH_MAX) return false;
    return this.listedOrigins.getOrLoad(origin, async () => {
      if (await this.store.isOriginListed(origin)) return true;
      return isLoopbackOrigin(origin) && this.store.hasDevelopmentEnvironment();
    });
  }

  /** Makes concurrent changes of one environment's keys and secrets wait for each other, until the end of the transaction. */
  async lock(environmentId: string, tx: Sql): Promise<void> {
    await this.store.lockEnvironment(environmentId, tx);
  }

  /** Forgets all answers; this instance sees its own changes at once. */
  forgetAll(): void {
    this.byId.clear();
    this.byPublicKey.clear();
    this.listedOrigins.clear();
  }
}
