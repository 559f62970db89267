import { Injectable } from '@nestjs/common';
import { Database, type Sql } from '#database';
import type { ProofGrade, ProofSurface } from '../verify/proof.js';
import type { PolicyMode, StoredPolicy, SurfaceState } from './surface-policy.js';

interface StateRow {
  readonly surface: ProofSurface;
  readonly mode: PolicyMode | null;
  readonly rampPercent: number;
  readonly gradeMin: ProofGrade;
  readonly endsAt: Date | null;
  readonly openUntil: Date | null;
}

/** When something was changed, and by which API key; by none from the command line. */
export interface ChangedBy {
  readonly changedAt: Date;
  readonly apiKeyId?: string | undefined;
}

/** All SQL over policies of surfaces. */
@Injectable()
export class PolicyStore {
  constructor(private readonly database: Database) {}

  /** What is kept of the surfaces of an environment, with the openings that are not over at `now`; surfaces without anything are left out. */
  async readStates(environmentId: string, now: Date, tx: Sql = this.database): Promise<SurfaceState[]> {
    const rows = await tx.query<StateRow>({
      name: 'identity.read-policy-states',
      text: `WITH policy AS (
               SELECT surface, mode, ramp_percent, grade_min, ends_at FROM identity.policy WHERE environment_id = $1
             ), opening AS (
               SELECT surface, max(ends_at) AS open_until FROM identity.break_glass
               WHERE environment_id = $1 AND ended_at IS NULL AND ends_at > $2 GROUP BY surface
             )
             SELECT surface, mode, ramp_percent AS "rampPercent", grade_min AS "gradeMin", ends_at AS "endsAt", open_until AS "openUntil"
             FROM policy FULL JOIN opening USING (surface)`,
      values: [environmentId, now],
    });
    return rows.map(({ surface, mode, rampPercent, gradeMin, endsAt, openUntil }) => ({
      surface,
      policy: mode === null ? undefined : { mode, rampPercent, gradeMin, endsAt },
      openUntil: openUntil ?? undefined,
    }));
  }

  /** Sets the policy of a surface. */
  async savePolicy(
    environmentId: string,
    surface: ProofSurface,
    policy: StoredPolicy,
    by: ChangedBy,
    tx: Sql = this.database,
  ): Promise<void> {
    const { mode, rampPercent, gradeMin, endsAt } = policy;
    await tx.execute({
      text: `INSERT INTO identity.policy (environment_id, surface, mode, ramp_percent, grade_min, ends_at, changed_at, changed_by)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (environment_id, surface) DO UPDATE
             SET mode = excluded.mode, ramp_percent = excluded.ramp_percent, grade_min = excluded.grade_min, ends_at = excluded.ends_at,
                 changed_at = excluded.changed_at, changed_by = excluded.changed_by`,
      values: [environmentId, surface, mode, rampPercent, gradeMin, endsAt, by.changedAt, by.apiKeyId ?? null],
    });
  }
}
