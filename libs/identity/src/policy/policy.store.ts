import { Injectable } from '@nestjs/common';
import { Database, type Sql } from '#database';
import type { ProofGrade, ProofSurface } from '../verify/proof.js';
import type { PolicyMode, StoredPolicy, SurfacePolicy, SurfaceState } from './surface-policy.js';

interface StateRow {
  readonly surface: ProofSurface;
  readonly mode: PolicyMode | null;
  readonly rampPercent: number;
  readonly gradeMin: ProofGrade;
  readonly endsAt: Date | null;
  readonly openUntil: Date | null;
}

/** The policy of a surface, with who set it: the id of an API key, `null` from the command line. */
export interface SetPolicy extends StoredPolicy {
  readonly surface: ProofSurface;
  readonly changedAt: Date;
  readonly changedBy: string | null;
}

/** One change of a policy, as it is kept. Its policies are JSON: their ends are texts. */
export interface PolicyChange {
  readonly id: string;
  readonly surface: ProofSurface;
  readonly changedAt: Date;
  readonly changedBy: string | null;
  readonly reason: string | null;
  readonly before: PolicyFacts;
  readonly after: PolicyFacts;
}

/** A policy in a change. */
export interface PolicyFacts extends SurfacePolicy {
  /** RFC 3339. */
  readonly endsAt: string | null;
}

/** A surface that somebody opened by hand. */
export interface BreakGlass {
  readonly id: string;
  readonly surface: ProofSurface;
  readonly reason: string;
  readonly openedAt: Date;
  readonly openedBy: string | null;
  readonly endsAt: Date;
  /** When it was ended by hand, before its time. */
  readonly endedAt: Date | null;
  readonly endedBy: string | null;
}

/** A part of a list whose newest entries come first. */
export interface OlderPage {
  readonly limit: number;
  readonly beforeId?: string | undefined;
}

const BREAK_GLASS_COLUMNS = `id, surface, reason, opened_at AS "openedAt", opened_by AS "openedBy", ends_at AS "endsAt", ended_at AS "endedAt",
  ended_by AS "endedBy"`;

/** Openings that are looked at together to say which surfaces are open. */
const OPEN_MAX = 1_000;

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

  /** What somebody set, by surface; surfaces that nobody changed are left out. */
  async listPolicies(environmentId: string, tx: Sql = this.database): Promise<SetPolicy[]> {
    return tx.query<SetPolicy>({
      text: `SELECT surface, mode, ramp_percent AS "rampPercent", grade_min AS "gradeMin", ends_at AS "endsAt", changed_at AS "changedAt",
               changed_by AS "changedBy"
             FROM identity.policy WHERE environment_id = $1`,
      values: [environmentId],
    });
  }

  /** Sets the policy of a surface. */
  async savePolicy(environmentId: string, { surface, ...policy }: SetPolicy, tx: Sql = this.database): Promise<void> {
    const { mode, rampPercent, gradeMin, endsAt, changedAt, changedBy } = policy;
    await tx.execute({
      text: `INSERT INTO identity.policy (environment_id, surface, mode, ramp_percent, grade_min, ends_at, changed_at, changed_by)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (environment_id, surface) DO UPDATE
             SET mode = excluded.mode, ramp_percent = excluded.ramp_percent, grade_min = excluded.grade_min, ends_at = excluded.ends_at,
                 changed_at = excluded.changed_at, changed_by = excluded.changed_by`,
      values: [environmentId, surface, mode, rampPercent, gradeMin, endsAt, changedAt, changedBy],
    });
  }

  /** Writes down who changed what, and why. */
  async insertChange(environmentId: string, change: PolicyChange, tx: Sql): Promise<void> {
    const { id, surface, changedAt, changedBy, reason, before, after } = change;
    await tx.execute({
      text: `INSERT INTO identity.policy_change (environment_id, id, surface, changed_at, changed_by, reason, policy_before, policy_after)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
      values: [environmentId, id, surface, changedAt, changedBy, reason, JSON.stringify(before), JSON.stringify(after)],
    });
  }

  /** Changes, the newest first. */
  async listChanges(environmentId: string, page: OlderPage): Promise<PolicyChange[]> {
    return this.database.query<PolicyChange>({
      text: `SELECT id, surface, changed_at AS "changedAt", changed_by AS "changedBy", reason, policy_before AS before, policy_after AS after
             FROM identity.policy_change WHERE environment_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3`,
      values: [environmentId, page.beforeId ?? null, page.limit],
    });
  }

  async insertBreakGlass(environmentId: string, glass: BreakGlass): Promise<void> {
    const { id, surface, reason, openedAt, openedBy, endsAt } = glass;
    await this.database.execute({
      text: `INSERT INTO identity.break_glass (environment_id, id, surface, reason, opened_at, opened_by, ends_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
      values: [environmentId, id, surface, reason, openedAt, openedBy, endsAt],
    });
  }

  /** Openings, the newest first. */
  async listBreakGlasses(environmentId: string, page: OlderPage): Promise<BreakGlass[]> {
    return this.database.query<BreakGlass>({
      text: `SELECT ${BREAK_GLASS_COLUMNS} FROM identity.break_glass
             WHERE environment_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3`,
      values: [environmentId, page.beforeId ?? null, page.limit],
    });
  }

  /** Openings that are not over at `now`, the one that lasts longest first. */
  async listOpen(environmentId: string, now: Date): Promise<BreakGlass[]> {
    return this.database.query<BreakGlass>({
      text: `SELECT ${BREAK_GLASS_COLUMNS} FROM identity.break_glass
             WHERE environment_id = $1 AND ended_at IS NULL AND ends_at > $2 ORDER BY ends_at DESC, id LIMIT ${OPEN_MAX}`,
      values: [environmentId, now],
    });
  }

  /** Ends an opening before its time; one that is over stays as it ended. `undefined` for one that is not there. */
  async endBreakGlass(environmentId: string, id: string, at: Date, by: string | null): Promise<BreakGlass | undefined> {
    const [row] = await this.database.query<BreakGlass>({
      text: `UPDATE identity.break_glass SET
               ended_by = CASE WHEN ended_at IS NULL AND ends_at > $3 THEN $4::uuid ELSE ended_by END,
               ended_at = CASE WHEN ended_at IS NULL AND ends_at > $3 THEN $3 ELSE ended_at END
             WHERE environment_id = $1 AND id = $2 RETURNING ${BREAK_GLASS_COLUMNS}`,
      values: [environmentId, id, at, by],
    });
    return row;
  }
}
