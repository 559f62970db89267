import { Injectable } from '@nestjs/common';
import { Database, type Sql } from '#database';

/** Everything that was issued to a subscriber up to this moment is worth nothing any more. */
export interface Revocation {
  readonly environmentId: string;
  /** The customer's own id. */
  readonly externalId: string;
  readonly revokedAt: Date;
}

/** A key that was ended by hand. */
export interface KilledKey {
  readonly secretId: string;
  readonly killedAt: Date;
}

/** Where the reading of revocations stands: text, because a JS Date drops microseconds. */
export interface RevocationPosition {
  readonly changedAt: string;
  readonly environmentId: string;
  readonly externalId: string;
}

/** All SQL over revocations. */
@Injectable()
export class RevocationStore {
  constructor(private readonly database: Database) {}

  /** Writes a revocation down; a later one replaces an earlier one. */
  async save({ environmentId, externalId, revokedAt }: Revocation, tx: Sql = this.database): Promise<void> {
    await tx.execute({
      text: `INSERT INTO identity.revocation AS present (environment_id, external_id, revoked_at) VALUES ($1, $2, $3)
             ON CONFLICT (environment_id, external_id) DO UPDATE
             SET revoked_at = greatest(present.revoked_at, excluded.revoked_at), changed_at = excluded.changed_at`,
      values: [environmentId, externalId, revokedAt],
    });
  }

  /** When the subscriber was revoked last; `undefined` for most. */
  async findRevokedAt(environmentId: string, externalId: string): Promise<Date | undefined> {
    const [row] = await this.database.query<{ revokedAt: Date }>({
      name: 'identity.find-revoked-at',
      text: 'SELECT revoked_at AS "revokedAt" FROM identity.revocation WHERE environment_id = $1 AND external_id = $2',
      values: [environmentId, externalId],
    });
    return row?.revokedAt;
  }

  /** The moment of the database, less some seconds. */
  async readMomentBefore(seconds: number): Promise<string> {
    const [row] = await this.database.query<{ moment: string }>({
      text: 'SELECT (clock_timestamp() - make_interval(secs => $1))::text AS moment',
      values: [seconds],
    });
    return row?.moment ?? '-infinity';
  }

  /** Revocations after a position, in the order in which they were made. */
  async listAfter(position: RevocationPosition, limit: number): Promise<(Revocation & RevocationPosition)[]> {
    return this.database.query<Revocation & RevocationPosition>({
      name: 'identity.list-revocations-after',
      text: `-- every environment: each gateway ends sessions of all of them
             SELECT environment_id AS "environmentId", external_id AS "externalId", revoked_at AS "revokedAt", changed_at::text AS "changedAt"
             FROM identity.revocation WHERE (changed_at, environment_id, external_id) > ($1::timestamptz, $2::uuid, $3::text)
             ORDER BY changed_at, environment_id, external_id LIMIT $4`,
      values: [position.changedAt, position.environmentId, position.externalId, limit],
    });
  }

  /** Keys that were ended by hand after a moment; not those whose overlap is over. */
  async listKilledAfter(moment: string): Promise<KilledKey[]> {
    return this.database.query<KilledKey>({
      name: 'identity.list-killed-after',
      text: `-- every environment: each gateway ends sessions of all of them
             SELECT id AS "secretId", retired_at AS "killedAt" FROM identity.secret
             WHERE retired_at > $1::timestamptz AND retired_at IS DISTINCT FROM retire_at`,
      values: [moment],
    });
  }
}
