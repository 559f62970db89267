import { Injectable } from '@nestjs/common';
import { Database, type Sql } from '#database';

/** What is shown of an identity secret after its creation. */
export interface IdentitySecret {
  readonly id: string;
  readonly lastFour: string;
  readonly createdAt: Date;
  readonly retiredAt: Date | null;
}

/** A live secret as it is stored: sealed by the SecretBox. */
export interface SealedIdentitySecret {
  readonly id: string;
  readonly ciphertext: Buffer;
}

const COLUMNS = 'id, last_four AS "lastFour", created_at AS "createdAt", retired_at AS "retiredAt"';

/** All SQL of identity. */
@Injectable()
export class IdentityStore {
  constructor(private readonly database: Database) {}

  async insertSecret(
    environmentId: string,
    secret: { id: string; ciphertext: Buffer; lastFour: string },
    tx: Sql = this.database,
  ): Promise<IdentitySecret> {
    const [row] = await tx.query<IdentitySecret>({
      text: `INSERT INTO identity.secret (environment_id, id, ciphertext, last_four) VALUES ($1, $2, $3, $4) RETURNING ${COLUMNS}`,
      values: [environmentId, secret.id, secret.ciphertext, secret.lastFour],
    });
    return row as IdentitySecret;
  }

  /** Secrets after `afterId` in the order of their making, retired ones included. */
  async listSecrets(environmentId: string, page: { limit: number; afterId?: string }, tx: Sql = this.database): Promise<IdentitySecret[]> {
    return tx.query<IdentitySecret>({
      text: `SELECT ${COLUMNS} FROM identity.secret WHERE environment_id = $1 AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3`,
      values: [environmentId, page.afterId ?? null, page.limit],
    });
  }

  /** The secrets with which proofs may be made now, newest first. */
  async listLiveSecrets(environmentId: string, tx: Sql = this.database): Promise<SealedIdentitySecret[]> {
    return tx.query<SealedIdentitySecret>({
      name: 'identity.list-live-secrets',
      text: 'SELECT id, ciphertext FROM identity.secret WHERE environment_id = $1 AND retired_at IS NULL ORDER BY id DESC',
      values: [environmentId],
    });
  }

  /** Retires a secret for ever; repeating it changes nothing. False when the environment has no such secret. */
  async retireSecret(environmentId: string, secretId: string, tx: Sql = this.database): Promise<boolean> {
    const touched = await tx.execute({
      text: 'UPDATE identity.secret SET retired_at = coalesce(retired_at, now()) WHERE environment_id = $1 AND id = $2',
      values: [environmentId, secretId],
    });
    return touched > 0;
  }
}
