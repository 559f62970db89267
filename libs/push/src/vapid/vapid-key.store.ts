import { Injectable } from '@nestjs/common';
import { Database, type Sql, type Transaction } from '#database';

/** A VAPID key pair as it is stored. */
export interface SealedVapidKey {
  readonly id: string;
  /** Uncompressed point, 65 bytes. */
  readonly publicKey: Buffer;
  /** PKCS #8 in DER, in base64, sealed by the SecretBox. */
  readonly privateCiphertext: Buffer;
}

const COLUMNS = 'id, public_key AS "publicKey", private_ciphertext AS "privateCiphertext"';

/** All SQL over push.vapid_key. A key never changes once it is made. */
@Injectable()
export class VapidKeyStore {
  constructor(private readonly database: Database) {}

  /** Makes those who would make a key for the environment wait for each other, until the end of the transaction. */
  async lock(environmentId: string, tx: Transaction): Promise<void> {
    await tx.query({
      text: `SELECT pg_advisory_xact_lock(hashtextextended('push.vapid_key:' || $1::text, 0))`,
      values: [environmentId],
    });
  }

  /** The key that new devices subscribe with; `undefined` when the environment has none yet. */
  async findLive(environmentId: string, tx: Sql = this.database): Promise<SealedVapidKey | undefined> {
    const [row] = await tx.query<SealedVapidKey>({
      name: 'push.find-live-key',
      text: `SELECT ${COLUMNS} FROM push.vapid_key WHERE environment_id = $1 AND retired_at IS NULL`,
      values: [environmentId],
    });
    return row;
  }

  /** One key, retired or not. */
  async find(environmentId: string, keyId: string, tx: Sql = this.database): Promise<SealedVapidKey | undefined> {
    const [row] = await tx.query<SealedVapidKey>({
      name: 'push.find-key',
      text: `SELECT ${COLUMNS} FROM push.vapid_key WHERE environment_id = $1 AND id = $2`,
      values: [environmentId, keyId],
    });
    return row;
  }

  async insert(environmentId: string, key: SealedVapidKey, tx: Sql = this.database): Promise<void> {
    await tx.execute({
      text: 'INSERT INTO push.vapid_key (environment_id, id, public_key, private_ciphertext) VALUES ($1, $2, $3, $4)',
      values: [environmentId, key.id, key.publicKey, key.privateCiphertext],
    });
  }
}
