import { Injectable } from '@nestjs/common';
import { Database, type Sql } from '#database';

/** Everything that was issued to a subscriber up to this moment is worth nothing any more. */
export interface Revocation {
  readonly environmentId: string;
  /** The customer's own id. */
  readonly externalId: string;
  readonly revokedAt: Date;
}

/** A key that was ended by hand; not one whose overlap is over. */
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

/** How a reading of what is new is cut. */
export interface ReadingBounds {
  /** How far the next reading looks back behind the beginning of this one. */
  readonly overlapSeconds: number;
  /** How far the first reading looks back. */
  readonly keptSeconds: number;
  /** Revocations of a page. */
  readonly limit: number;
}

/** What is new since a moment, as of one snapshot. */
export interface RevocationReading {
  /** Where the next reading goes on. */
  readonly nextMoment: string;
  /** The first page, in the order in which they were made. */
  readonly revocations: readonly (Revocation & RevocationPosition)[];
  readonly killedKeys: readonly KilledKey[];
}

/** As in JSON: times are text. */
interface ReadingRow {
  readonly nextMoment: string;
  readonly revocations: readonly (RevocationPosition & { readonly revokedAt: string })[];
  readonly killedKeys: readonly { readonly secretId: string; readonly killedAt: string }[];
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

  /**
   * What is new since a moment, with one statement; without a moment, everything that is not too old.
   *
   * The next moment counts back from `now()`: the beginning of the statement's transaction, which is before its snapshot, as
   * `statement_timestamp()` and `clock_timestamp()` are not. So what the snapshot does not show yet is read next time, unless it took
   * longer than the overlap from being written to its commit.
   */
  async readSince(moment: string | undefined, { overlapSeconds, keptSeconds, limit }: ReadingBounds): Promise<RevocationReading> {
    const [row] = await this.database.query<ReadingRow>({
      name: 'identity.read-revocations-since',
      text: `-- every environment: each gateway ends sessions of all of them
             SELECT (now() - make_interval(secs => $2))::text AS "nextMoment",
               (SELECT coalesce(json_agg(json_build_object('environmentId', environment_id, 'externalId', external_id,
                   'revokedAt', revoked_at, 'changedAt', changed_at::text) ORDER BY changed_at, environment_id, external_id), '[]')
                 FROM (SELECT * FROM identity.revocation WHERE changed_at >= since.moment
                   ORDER BY changed_at, environment_id, external_id LIMIT $4) AS page) AS revocations,
               (SELECT coalesce(json_agg(json_build_object('secretId', id, 'killedAt', retired_at)), '[]') FROM identity.secret
                 WHERE retired_at > since.moment AND retired_at IS DISTINCT FROM retire_at) AS "killedKeys"
             FROM (SELECT coalesce($1::timestamptz, now() - make_interval(secs => $3)) AS moment) AS since`,
      values: [moment ?? null, overlapSeconds, keptSeconds, limit],
    });
    if (row === undefined) throw new Error('A reading is always one row');
    return {
      nextMoment: row.nextMoment,
      revocations: row.revocations.map((each) => ({ ...each, revokedAt: new Date(each.revokedAt) })),
      killedKeys: row.killedKeys.map((each) => ({ ...each, killedAt: new Date(each.killedAt) })),
    };
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
}
