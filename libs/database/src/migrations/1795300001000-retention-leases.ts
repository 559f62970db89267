import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Who removes what at the moment, what was removed when, and what retention needs of other contexts: indexes that lead to what is due, and
 * a view that says which runs still exist. `retention.lease` has a row per policy for ever; `retention.run` goes by its own policy.
 */
export class RetentionLeases1795300001000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE SCHEMA retention;
      -- The leader of each policy. Each acquisition raises the token; every write of a leader names its token, so that a process that was
      -- stopped and comes back writes nothing. A lease that has ended is free, whoever held it.
      CREATE TABLE retention.lease (
        policy text PRIMARY KEY,
        token bigint NOT NULL,
        holder text NOT NULL,
        expires_at timestamptz NOT NULL,
        -- When the policy is to run next.
        due_at timestamptz NOT NULL,
        succeeded_at timestamptz,
        -- The period of the last run that was through.
        kept_hours integer
      );
      -- One row per run of a policy. The figures are written together with what they count.
      CREATE TABLE retention.run (
        id uuid PRIMARY KEY,
        policy text NOT NULL,
        token bigint NOT NULL,
        holder text NOT NULL,
        kept_hours integer NOT NULL,
        outcome text NOT NULL DEFAULT 'running'
          CONSTRAINT run_outcome CHECK (outcome IN ('running', 'done', 'blocked', 'interrupted', 'failed')),
        -- Rows by table, of dropped partitions too.
        removed jsonb NOT NULL DEFAULT '{}',
        partitions text[] NOT NULL DEFAULT '{}',
        batches integer NOT NULL DEFAULT 0,
        failure text,
        started_at timestamptz NOT NULL,
        ended_at timestamptz
      );
      CREATE INDEX run_by_time ON retention.run (started_at);
      CREATE INDEX run_running ON retention.run (policy) WHERE outcome = 'running';
    `);
    await runner.query(`
      CREATE INDEX dead_letter_settled ON event_log.dead_letter (settled_at) WHERE settled_at IS NOT NULL;
      CREATE INDEX dead_letter_failed ON event_log.dead_letter (failed_at) WHERE settled_at IS NULL;
      CREATE INDEX run_finished ON campaigns.run (finished_at) WHERE finished_at IS NOT NULL;
      CREATE INDEX run_by_message_key ON campaigns.run (message_key);
      CREATE INDEX single_message_by_key ON campaigns.single_message (message_key);
      CREATE INDEX batch_by_message_key ON push.batch (message_key);
      CREATE INDEX device_inactive ON push.device (state_changed_at) WHERE state <> 'active';
      CREATE INDEX subscriber_unsubscribed ON subscribers.subscriber (unsubscribed_at) WHERE unsubscribed_at IS NOT NULL;
    `);
    await runner.query(`
      -- Which message key a run has, and whether anything of it is still to be delivered.
      CREATE VIEW campaigns.run_message AS
        SELECT environment_id, id AS run_id, message_key, finished_at IS NULL AS is_open FROM campaigns.run;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP VIEW campaigns.run_message;
      DROP INDEX event_log.dead_letter_settled, event_log.dead_letter_failed, campaigns.run_finished, campaigns.run_by_message_key,
        campaigns.single_message_by_key, push.batch_by_message_key, push.device_inactive, subscribers.subscriber_unsubscribed;
      DROP SCHEMA retention CASCADE`);
  }
}
