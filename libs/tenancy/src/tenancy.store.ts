import { Injectable } from '@nestjs/common';
import { Database, type Sql } from '#database';
import type { Environment, EnvironmentContext, EnvironmentKind } from './environment.js';
import type { Scope } from './scopes.js';

/** Who owns environments. */
export interface Workspace {
  readonly id: string;
  readonly name: string;
}

/** What is kept of an API key: its hash and its last four characters, never the key. */
export interface ApiKey {
  readonly id: string;
  readonly name: string;
  readonly lastFour: string;
  readonly scopes: readonly Scope[];
  readonly createdAt: Date;
  readonly revokedAt: Date | null;
}

/** A new API key; `hash` is SHA-256 of its text. */
export interface NewApiKey {
  readonly id: string;
  readonly name: string;
  readonly hash: Buffer;
  readonly lastFour: string;
  readonly scopes: readonly Scope[];
}

/** A new environment of a workspace. */
export interface NewEnvironment {
  readonly id: string;
  readonly workspaceId: string;
  readonly name: string;
  readonly kind: EnvironmentKind;
  readonly publicKey: string;
}

const ENVIRONMENT_COLUMNS = `id, workspace_id AS "workspaceId", name, kind, public_key AS "publicKey",
  allowed_origins AS "allowedOrigins", protected_traits AS "protectedTraits", created_at AS "createdAt"`;
const API_KEY_COLUMNS = `id, name, last_four AS "lastFour", scopes, created_at AS "createdAt", revoked_at AS "revokedAt"`;

/**
 * All SQL of tenancy. The reads by public key and by key hash are the only ones without an environment: they are how a request finds
 * its environment.
 */
@Injectable()
export class TenancyStore {
  constructor(private readonly database: Database) {}

  async insertWorkspace(workspace: { id: string; name: string }, tx: Sql = this.database): Promise<void> {
    await tx.execute({ text: 'INSERT INTO tenancy.workspace (id, name) VALUES ($1, $2)', values: [workspace.id, workspace.name] });
  }

  /** The oldest workspace. */
  async findFirstWorkspace(tx: Sql = this.database): Promise<Workspace | undefined> {
    const [row] = await tx.query<Workspace>({ text: 'SELECT id, name FROM tenancy.workspace ORDER BY id LIMIT 1' });
    return row;
  }

  /** Makes others who create a workspace at the same time wait, until the end of the transaction. */
  async lockWorkspaces(tx: Sql): Promise<void> {
    await tx.execute({ text: 'LOCK TABLE tenancy.workspace IN SHARE ROW EXCLUSIVE MODE' });
  }

  async insertEnvironment(environment: NewEnvironment, tx: Sql = this.database): Promise<Environment> {
    const [row] = await tx.query<Environment>({
      text: `INSERT INTO tenancy.environment (id, workspace_id, name, kind, public_key) VALUES ($1, $2, $3, $4, $5) RETURNING ${ENVIRONMENT_COLUMNS}`,
      values: [environment.id, environment.workspaceId, environment.name, environment.kind, environment.publicKey],
    });
    return row as Environment;
  }

  async findEnvironment(environmentId: string, tx: Sql = this.database): Promise<Environment | undefined> {
    const [row] = await tx.query<Environment>({
      name: 'tenancy.find-environment',
      text: `SELECT ${ENVIRONMENT_COLUMNS} FROM tenancy.environment WHERE id = $1`,
      values: [environmentId],
    });
    return row;
  }

  /** The environments of this name, one per workspace that has one, at most `limit`. */
  async findEnvironmentsByName(name: string, limit: number): Promise<Environment[]> {
    return this.database.query<Environment>({
      text: `SELECT ${ENVIRONMENT_COLUMNS} FROM tenancy.environment WHERE name = $1 ORDER BY id LIMIT $2`,
      values: [name, limit],
    });
  }

  /** The environments of a workspace, oldest first, at most `limit`. */
  async listEnvironmentsOfWorkspace(workspaceId: string, limit: number): Promise<Environment[]> {
    return this.database.query<Environment>({
      text: `SELECT ${ENVIRONMENT_COLUMNS} FROM tenancy.environment WHERE workspace_id = $1 ORDER BY id LIMIT $2`,
      values: [workspaceId, limit],
    });
  }

  async findEnvironmentByPublicKey(publicKey: string): Promise<Environment | undefined> {
    const [row] = await this.database.query<Environment>({
      name: 'tenancy.find-environment-by-public-key',
      text: `SELECT ${ENVIRONMENT_COLUMNS} FROM tenancy.environment WHERE public_key = $1`,
      values: [publicKey],
    });
    return row;
  }

  /** Makes concurrent changes of one environment's keys and secrets wait for each other, until the end of the transaction. */
  async lockEnvironment(environmentId: string, tx: Sql): Promise<void> {
    await tx.execute({ text: 'SELECT FROM tenancy.environment WHERE id = $1 FOR NO KEY UPDATE', values: [environmentId] });
  }

  async updateAllowedOrigins(environmentId: string, origins: readonly string[], tx: Sql = this.database): Promise<void> {
    await tx.execute({ text: 'UPDATE tenancy.environment SET allowed_origins = $2 WHERE id = $1', values: [environmentId, origins] });
  }

  async updateProtectedTraits(environmentId: string, traits: readonly string[], tx: Sql = this.database): Promise<void> {
    await tx.execute({ text: 'UPDATE tenancy.environment SET protected_traits = $2 WHERE id = $1', values: [environmentId, traits] });
  }

  /** Does any environment list this origin? Asked for CORS preflights only, which say nothing about the environment. */
  async isOriginListed(origin: string): Promise<boolean> {
    const [row] = await this.database.query<{ listed: boolean }>({
      name: 'tenancy.is-origin-listed',
      text: 'SELECT EXISTS (SELECT FROM tenancy.environment WHERE $1 = ANY (allowed_origins)) AS listed',
      values: [origin],
    });
    return row?.listed === true;
  }

  async hasDevelopmentEnvironment(): Promise<boolean> {
    const [row] = await this.database.query<{ found: boolean }>({
      text: `SELECT EXISTS (SELECT FROM tenancy.environment WHERE kind = 'development') AS found`,
    });
    return row?.found === true;
  }

  async insertApiKey(environmentId: string, key: NewApiKey, tx: Sql = this.database): Promise<ApiKey> {
    const [row] = await tx.query<ApiKey>({
      text: `INSERT INTO tenancy.api_key (environment_id, id, name, key_hash, last_four, scopes) VALUES ($1, $2, $3, $4, $5, $6) RETURNING ${API_KEY_COLUMNS}`,
      values: [environmentId, key.id, key.name, key.hash, key.lastFour, key.scopes],
    });
    return row as ApiKey;
  }

  async countLiveApiKeys(environmentId: string, tx: Sql = this.database): Promise<number> {
    const [row] = await tx.query<{ keys: number }>({
      text: 'SELECT count(*)::integer AS keys FROM tenancy.api_key WHERE environment_id = $1 AND revoked_at IS NULL',
      values: [environmentId],
    });
    return row?.keys ?? 0;
  }

  /** Keys after `afterId` in the order of their making, revoked ones included. */
  async listApiKeys(environmentId: string, page: { limit: number; afterId?: string }, tx: Sql = this.database): Promise<ApiKey[]> {
    return tx.query<ApiKey>({
      text: `SELECT ${API_KEY_COLUMNS} FROM tenancy.api_key WHERE environment_id = $1 AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3`,
      values: [environmentId, page.afterId ?? null, page.limit],
    });
  }

  /** Revokes a key for ever; repeating it changes nothing. False when the environment has no such key. */
  async revokeApiKey(environmentId: string, apiKeyId: string, tx: Sql = this.database): Promise<boolean> {
    const touched = await tx.execute({
      text: 'UPDATE tenancy.api_key SET revoked_at = coalesce(revoked_at, now()) WHERE environment_id = $1 AND id = $2',
      values: [environmentId, apiKeyId],
    });
    return touched > 0;
  }

  /** On whose behalf the holder of a live key acts. */
  async findContextByKeyHash(hash: Buffer): Promise<EnvironmentContext | undefined> {
    const [row] = await this.database.query<EnvironmentContext>({
      name: 'tenancy.find-context-by-key-hash',
      text: `SELECT key.environment_id AS "environmentId", environment.workspace_id AS "workspaceId", environment.kind,
                    key.id AS "apiKeyId", key.scopes
             FROM tenancy.api_key key JOIN tenancy.environment environment ON environment.id = key.environment_id
             WHERE key.key_hash = $1 AND key.revoked_at IS NULL`,
      values: [hash],
    });
    return row;
  }
}
