import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Identity: what each surface of an environment asks of a proof, who changed it, openings in an emergency, and what became of the proofs.
 * Retention: policies, changes and openings until the environment is deleted; counts of verdicts 35 days.
 */
export class IdentityPolicies1795300010500 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- A surface without a row is enforced for everybody at grade static: an environment is closed from its creation.
      CREATE TABLE identity.policy (
        environment_id uuid NOT NULL,
        surface text NOT NULL CONSTRAINT policy_surface CHECK (surface IN ('inbox', 'preferences', 'push', 'identify', 'track')),
        mode text NOT NULL CONSTRAINT policy_mode CHECK (mode IN ('off', 'report-only', 'enforced')),
        -- Share of the subscribers for whom an enforced policy is enforced.
        ramp_percent smallint NOT NULL CONSTRAINT policy_ramp_percent CHECK (ramp_percent BETWEEN 0 AND 100),
        grade_min text NOT NULL CONSTRAINT policy_grade_min CHECK (grade_min IN ('static', 'fresh', 'traits')),
        -- From then on it is enforced for everybody, whatever the mode says.
        ends_at timestamptz,
        changed_at timestamptz NOT NULL,
        -- The API key that changed it; none for the command line.
        changed_by uuid,
        PRIMARY KEY (environment_id, surface)
      );

      -- Append only: every change of a policy, with the policy as it became.
      CREATE TABLE identity.policy_change (
        environment_id uuid NOT NULL,
        id uuid NOT NULL,
        surface text NOT NULL,
        changed_at timestamptz NOT NULL,
        changed_by uuid,
        reason text,
        policy_before jsonb NOT NULL,
        policy_after jsonb NOT NULL,
        PRIMARY KEY (environment_id, id)
      );

      -- Append only, but for the end: a surface of production that was opened by hand.
      CREATE TABLE identity.break_glass (
        environment_id uuid NOT NULL,
        id uuid NOT NULL,
        surface text NOT NULL CONSTRAINT break_glass_surface CHECK (surface IN ('inbox', 'preferences', 'push', 'identify', 'track')),
        reason text NOT NULL CONSTRAINT break_glass_reason CHECK (reason <> ''),
        opened_at timestamptz NOT NULL,
        opened_by uuid,
        ends_at timestamptz NOT NULL CONSTRAINT break_glass_ends CHECK (ends_at > opened_at),
        -- By hand, before its time.
        ended_at timestamptz,
        ended_by uuid,
        PRIMARY KEY (environment_id, id)
      );
      CREATE INDEX break_glass_open ON identity.break_glass (environment_id, ends_at) WHERE ended_at IS NULL;

      -- One row per combination and hour. Texts of clients are cut, checked and capped before they come here.
      CREATE TABLE identity.verdict_count (
        environment_id uuid NOT NULL,
        hour_at timestamptz NOT NULL,
        surface text NOT NULL,
        -- 'valid', or why the proof was refused.
        reason text NOT NULL,
        -- Was the request let in? Under a policy that does not enforce, refused proofs are.
        admitted boolean NOT NULL,
        -- The key that made the proof; the nil UUID where none of ours did.
        key_id uuid NOT NULL,
        origin text NOT NULL,
        sdk text NOT NULL,
        verdicts bigint NOT NULL CONSTRAINT verdict_count_counts_something CHECK (verdicts > 0),
        PRIMARY KEY (environment_id, hour_at, surface, reason, admitted, key_id, origin, sdk)
      );
      CREATE INDEX verdict_count_hour ON identity.verdict_count (hour_at);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE identity.verdict_count, identity.break_glass, identity.policy_change, identity.policy');
  }
}
