import { Injectable } from '@nestjs/common';
import { Database, type Sql } from '#database';
import type { KeyAlgorithm } from './secrets/key-life.js';

/** What is shown of an identity key after its creation. */
export interface IdentitySecret {
  readonly id: string;
  readonly algorithm: KeyAlgorithm;
  /** The `kid` of a key that verifies tokens. */
  readonly keyName: string | null;
  readonly lastFour: string;
  readonly createdAt: Date;
  readonly firstUsedAt: Date | null;
  readonly lastUsedAt: Date | null;
  /** The end of its overlap, once it is retiring. */
  readonly retireAt: Date | null;
  /** When it ended: by hand, or at the end of its overlap. */
  readonly retiredAt: Date | null;
}

/** A new key; sealed by the SecretBox. */
export interface NewIdentitySecret {
  readonly id: string;
  readonly algorithm: KeyAlgorithm;
  readonly keyName: string | null;
  readonly ciphertext: Buffer;
  readonly lastFour: string;
}

/** A key as it is stored. */
export interface SealedIdentitySecret {
  readonly id: string;
  readonly algorithm: KeyAlgorithm;
  readonly keyName: string | null;
  readonly ciphertext: Buffer;
}

/** A stored key with the environment that it belongs to, and whether proofs may still be made with it. */
export interface OwnedIdentitySecret extends SealedIdentitySecret {
  readonly environmentId: string;
  readonly lastFour: string;
  readonly live: boolean;
}

/** Proofs that were made with one key since the last time they were counted. */
export interface KeyUses {
  readonly environmentId: string;
  readonly secretId: string;
  readonly uses: number;
}

/** Proofs of one key over some days. */
export interface KeyTraffic {
  readonly secretId: string;
  readonly uses: number;
}

const LIVE = 'retired_at IS NULL AND (retire_at IS NULL OR retire_at > now())';
const COLUMNS = `id, algorithm, key_name AS "keyName", last_four AS "lastFour", created_at AS "createdAt", first_used_at AS "firstUsedAt",
  last_used_at AS "lastUsedAt", retire_at AS "retireAt",
  coalesce(retired_at, CASE WHEN retire_at <= now() THEN retire_at END) AS "retiredAt"`;
const SEALED_COLUMNS = 'id, algorithm, key_name AS "keyName", ciphertext';

/** All SQL over keys and their use. */
@Injectable()
export class IdentityStore {
  constructor(private readonly database: Database) {}

  async insertSecret(environmentId: string, secret: NewIdentitySecret, tx: Sql = this.database): Promise<IdentitySecret> {
    const [row] = await tx.query<IdentitySecret>({
      text: `INSERT INTO identity.secret (environment_id, id, algorithm, key_name, ciphertext, last_four)
             VALUES ($1, $2, $3, $4, $5, $6) RETURNING ${COLUMNS}`,
      values: [environmentId, secret.id, secret.algorithm, secret.keyName, secret.ciphertext, secret.lastFour],
    });
    return row as IdentitySecret;
  }

  /** Keys after `afterId` in the order of their making, retired ones included. */
  async listSecrets(environmentId: string, page: { limit: number; afterId?: string }, tx: Sql = this.database): Promise<IdentitySecret[]> {
    return tx.query<IdentitySecret>({
      text: `SELECT ${COLUMNS} FROM identity.secret WHERE environment_id = $1 AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3`,
      values: [environmentId, page.afterId ?? null, page.limit],
    });
  }

  /** The keys with which proofs may be made now, newest first. */
  async listLiveSecrets(environmentId: string, tx: Sql = this.database): Promise<SealedIdentitySecret[]> {
    return tx.query<SealedIdentitySecret>({
      name: 'identity.list-live-secrets',
      text: `SELECT ${SEALED_COLUMNS} FROM identity.secret WHERE environment_id = $1 AND ${LIVE} ORDER BY id DESC`,
      values: [environmentId],
    });
  }

  /** The newest keys of some environments, live or not: what a proof may have been made with by mistake. */
  async listSecretsOf(environmentIds: readonly string[], limit: number, tx: Sql = this.database): Promise<OwnedIdentitySecret[]> {
    return tx.query<OwnedIdentitySecret>({
      text: `SELECT environment_id AS "environmentId", ${SEALED_COLUMNS}, last_four AS "lastFour", ${LIVE} AS live
             FROM identity.secret WHERE environment_id = ANY ($1) ORDER BY id DESC LIMIT $2`,
      values: [environmentIds, limit],
    });
  }

  /** Lets a live key end after its overlap; a key that is retiring already keeps the earlier end. */
  async scheduleRetirement(
    environmentId: string,
    secretId: string,
    overlapSeconds: number,
    tx: Sql = this.database,
  ): Promise<IdentitySecret | undefined> {
    const [row] = await tx.query<IdentitySecret>({
      text: `UPDATE identity.secret SET retire_at = CASE WHEN ${LIVE} THEN least(retire_at, now() + make_interval(secs => $3)) ELSE retire_at END
             WHERE environment_id = $1 AND id = $2 RETURNING ${COLUMNS}`,
      values: [environmentId, secretId, overlapSeconds],
    });
    return row;
  }

  /**
   * Ends a key at once and for ever, also one whose overlap is over: its sessions end then. Repeating it changes nothing.
   * @returns since when, `undefined` for a key that is not there
   */
  async killSecret(environmentId: string, secretId: string, tx: Sql = this.database): Promise<Date | undefined> {
    const [row] = await tx.query<{ retiredAt: Date }>({
      text: `UPDATE identity.secret SET retired_at = CASE WHEN retired_at IS NOT NULL AND retired_at IS DISTINCT FROM retire_at THEN retired_at ELSE now() END
             WHERE environment_id = $1 AND id = $2
             RETURNING retired_at AS "retiredAt"`,
      values: [environmentId, secretId],
    });
    return row?.retiredAt;
  }

  /** Writes down the end of overlaps that are over, so that their names can be given again. */
  async settleRetirements(environmentId: string, tx: Sql): Promise<void> {
    await tx.execute({
      text: `UPDATE identity.secret SET retired_at = retire_at WHERE environment_id = $1 AND retired_at IS NULL AND retire_at <= now()`,
      values: [environmentId],
    });
  }

  /** Adds uses to the day and marks the keys as seen, in one statement. The rows come sorted, so that gateways never deadlock. */
  async addUses(uses: readonly KeyUses[]): Promise<void> {
    await this.database.execute({
      name: 'identity.add-uses',
      text: `WITH used AS (
               SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS used (environment_id, secret_id, uses)
             ), counted AS (
               INSERT INTO identity.key_use AS present (environment_id, secret_id, used_on, uses)
               SELECT environment_id, secret_id, (now() AT TIME ZONE 'UTC')::date, uses FROM used
               ON CONFLICT (environment_id, secret_id, used_on) DO UPDATE SET uses = present.uses + excluded.uses
             )
             UPDATE identity.secret SET first_used_at = coalesce(first_used_at, now()), last_used_at = now()
             FROM used WHERE secret.environment_id = used.environment_id AND secret.id = used.secret_id`,
      values: [uses.map((use) => use.environmentId), uses.map((use) => use.secretId), uses.map((use) => use.uses)],
    });
  }

  /** Uses of each key of an environment over the last `days` days, today included; keys without uses are left out. */
  async listTraffic(environmentId: string, days: number): Promise<KeyTraffic[]> {
    return this.database.query<KeyTraffic>({
      text: `SELECT secret_id AS "secretId", sum(uses)::double precision AS uses FROM identity.key_use
             WHERE environment_id = $1 AND used_on > (now() AT TIME ZONE 'UTC')::date - $2::integer GROUP BY secret_id`,
      values: [environmentId, days],
    });
  }

  /** Deletes the days that are older than `days`. */
  async deleteUsesBefore(days: number): Promise<number> {
    return this.database.execute({
      text: `-- every environment: retention
             DELETE FROM identity.key_use WHERE used_on < (now() AT TIME ZONE 'UTC')::date - $1::integer`,
      values: [days],
    });
  }
}
