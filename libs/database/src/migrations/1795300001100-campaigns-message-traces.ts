import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Where messages come from, as traceparent texts: of a single message its API call, of a campaign's message the fan-out of its chunk. What
 * people do with a message is shown in the trace that stands here, never in one that a browser names.
 */
export class CampaignsMessageTraces1795300001100 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE campaigns.single_message ADD COLUMN traceparent text;
      ALTER TABLE campaigns.chunk ADD COLUMN traceparent text;
      -- With run_open: all runs that are not over, for their figures.
      CREATE INDEX run_paused ON campaigns.run (id) WHERE state = 'paused';

      -- What engagement may know: the trace of each message, for subscribers in (lower_id, upper_id]; bounds are null for a single message,
      -- which has one subscriber.
      CREATE VIEW campaigns.message_trace AS
        SELECT environment_id, message_key, NULL::uuid AS run_id, NULL::uuid AS lower_id, NULL::uuid AS upper_id, traceparent
        FROM campaigns.single_message WHERE traceparent IS NOT NULL
        UNION ALL
        SELECT run.environment_id, run.message_key, run.id, chunk.lower_id, chunk.upper_id, chunk.traceparent
        FROM campaigns.run JOIN campaigns.chunk ON chunk.environment_id = run.environment_id AND chunk.run_id = run.id
        WHERE chunk.traceparent IS NOT NULL;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP VIEW campaigns.message_trace;
      DROP INDEX campaigns.run_paused;
      ALTER TABLE campaigns.chunk DROP COLUMN traceparent;
      ALTER TABLE campaigns.single_message DROP COLUMN traceparent;
    `);
  }
}
