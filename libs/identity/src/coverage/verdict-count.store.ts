import { Injectable } from '@nestjs/common';
import { Database } from '#database';
import type { ProofSurface, RefusalReason } from '../verify/proof.js';

/** In place of a key where none of ours made the proof. */
export const NO_KEY = '00000000-0000-0000-0000-000000000000';

/** In place of an environment that is not there: what is counted for it is never written. */
export const NO_ENVIRONMENT_ID = NO_KEY;

/** Rows of one statement. */
const ROWS_MAX = 1_000;

/** Rows that are read of each part of a surface: more than it can have of reasons and keys, and the greatest of the others. */
const PARTS_MAX = 200;

/** Verdicts of one combination in one hour. */
export interface VerdictCount {
  readonly environmentId: string;
  /** Its beginning. */
  readonly hourAt: Date;
  readonly surface: ProofSurface;
  readonly reason: 'valid' | RefusalReason;
  readonly admitted: boolean;
  /** {@link NO_KEY} where none of ours made the proof. */
  readonly keyId: string;
  readonly origin: string;
  readonly sdk: string;
  readonly verdicts: number;
}

/** By what the verdicts of a surface are parted; `all` is their sum. */
export type VerdictDimension = 'all' | 'reason' | 'key' | 'origin' | 'sdk';

/** The verdicts of a surface that have something in common. */
export interface VerdictSum {
  readonly surface: ProofSurface;
  readonly dimension: VerdictDimension;
  /** A reason, the id of a key, an origin, a library with its version; empty for `all`. */
  readonly value: string;
  readonly verdicts: number;
  /** Those whose reason is not `valid`. */
  readonly faulty: number;
  /** Those of `faulty` that were let in. */
  readonly faultyAdmitted: number;
  /** The beginning of the last hour that has any. */
  readonly lastHourAt: Date;
}

/** All SQL over counts of verdicts. */
@Injectable()
export class VerdictCountStore {
  constructor(private readonly database: Database) {}

  /**
   * Adds to the counts. The counts come sorted and without repeats, so that gateways never deadlock.
   * @returns how many of them were written, with what kept the others from it
   */
  async add(counts: readonly VerdictCount[]): Promise<{ readonly counts: number; readonly error?: unknown }> {
    let written = 0;
    try {
      for (; written < counts.length; written += ROWS_MAX) await this.addRows(counts.slice(written, written + ROWS_MAX));
      return { counts: counts.length };
    } catch (error) {
      return { counts: written, error };
    }
  }

  /** The sums of an environment since the hour that begins at `since`, the greatest of each part first. */
  async sum(environmentId: string, since: Date): Promise<VerdictSum[]> {
    return this.database.query<VerdictSum>({
      name: 'identity.sum-verdicts',
      text: `WITH part AS (
               SELECT surface,
                 CASE WHEN grouping(reason) = 0 THEN 'reason' WHEN grouping(key_id) = 0 THEN 'key' WHEN grouping(origin) = 0 THEN 'origin'
                   WHEN grouping(sdk) = 0 THEN 'sdk' ELSE 'all' END AS dimension,
                 coalesce(reason, key_id::text, origin, sdk, '') AS value, sum(verdicts) AS verdicts,
                 sum(verdicts) FILTER (WHERE reason <> 'valid') AS faulty, sum(verdicts) FILTER (WHERE reason <> 'valid' AND admitted) AS faulty_admitted,
                 max(hour_at) AS last_hour_at
               FROM identity.verdict_count WHERE environment_id = $1 AND hour_at >= $2
               GROUP BY GROUPING SETS ((surface), (surface, reason), (surface, key_id), (surface, origin), (surface, sdk))
             ), ranked AS (
               SELECT *, row_number() OVER (PARTITION BY surface, dimension ORDER BY verdicts DESC, value) AS place FROM part
             )
             SELECT surface, dimension, value, verdicts::double precision AS verdicts, coalesce(faulty, 0)::double precision AS faulty,
               coalesce(faulty_admitted, 0)::double precision AS "faultyAdmitted", last_hour_at AS "lastHourAt"
             FROM ranked WHERE place <= $3 ORDER BY surface, dimension, place`,
      values: [environmentId, since, PARTS_MAX],
    });
  }

  private async addRows(rows: readonly VerdictCount[]): Promise<void> {
    await this.database.execute({
      name: 'identity.add-verdicts',
      text: `INSERT INTO identity.verdict_count AS present (environment_id, hour_at, surface, reason, admitted, key_id, origin, sdk, verdicts)
             SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::boolean[], $6::uuid[], $7::text[], $8::text[], $9::bigint[])
             ON CONFLICT (environment_id, hour_at, surface, reason, admitted, key_id, origin, sdk)
             DO UPDATE SET verdicts = present.verdicts + excluded.verdicts`,
      values: [
        rows.map((row) => row.environmentId),
        rows.map((row) => row.hourAt),
        rows.map((row) => row.surface),
        rows.map((row) => row.reason),
        rows.map((row) => row.admitted),
        rows.map((row) => row.keyId),
        rows.map((row) => row.origin),
        rows.map((row) => row.sdk),
        rows.map((row) => row.verdicts),
      ],
    });
  }
}
