import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What the timeline of one message is read from: who was skipped or failed and why, person by person, each attempt of a push delivery, and
 * the views by which the channels and engagement show campaigns what they know of a message.
 */
export class CampaignsTimeline1795300001200 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE campaigns.chunk_delivery
        -- Ids of subscribers by the reason for which they were skipped at fan-out, or for which the channel failed them: what the counts count.
        ADD COLUMN skipped_recipients jsonb NOT NULL DEFAULT '{}',
        ADD COLUMN failed_recipients jsonb NOT NULL DEFAULT '{}';
      ALTER TABLE campaigns.chunk_delivery ALTER COLUMN skipped_recipients SET STORAGE EXTERNAL;
      -- A message names its run by the message key alone.
      CREATE UNIQUE INDEX run_by_message ON campaigns.run (environment_id, message_key);
      CREATE INDEX dead_letter_by_key ON event_log.dead_letter (environment_id, key) WHERE environment_id IS NOT NULL;

      -- Ids of those people of a batch who have no delivery, by reason.
      ALTER TABLE push.batch ADD COLUMN unreachable_recipients jsonb NOT NULL DEFAULT '{}';
      ALTER TABLE push.delivery
        -- Class and HTTP status of the answer that ended it; null when none did. The status is null when there was no answer.
        ADD COLUMN outcome text CONSTRAINT delivery_outcome
          CHECK (outcome IN ('accepted', 'gone', 'refused', 'misconfigured', 'throttled', 'transient')),
        ADD COLUMN http_status smallint,
        -- The attempts after which it was queued again: [{at, outcome, http_status, reason}], oldest first, the newest ones of many.
        ADD COLUMN earlier_attempts jsonb;

      -- What campaigns may know of one message on each channel, for its timeline.
      CREATE VIEW inbox.message_delivery AS
        SELECT environment_id, message_key, subscriber_id, delivered_at FROM inbox.message;
      CREATE VIEW push.message_batch AS
        SELECT environment_id, message_key, chunk_no, unreachable_recipients, created_at AS accepted_at FROM push.batch;
      CREATE VIEW push.message_delivery AS
        SELECT environment_id, message_key, subscriber_id, device_id, vendor, state, reason, outcome, http_status, earlier_attempts,
          created_at AS queued_at, finished_at
        FROM push.delivery;
      CREATE VIEW engagement.message_receipt AS
        SELECT environment_id, message_key, subscriber_id, channel, kind, occurred_at, recorded_at FROM engagement.receipt;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP VIEW engagement.message_receipt, push.message_delivery, push.message_batch, inbox.message_delivery;
      ALTER TABLE push.delivery DROP COLUMN earlier_attempts, DROP COLUMN http_status, DROP COLUMN outcome;
      ALTER TABLE push.batch DROP COLUMN unreachable_recipients;
      DROP INDEX event_log.dead_letter_by_key, campaigns.run_by_message;
      ALTER TABLE campaigns.chunk_delivery DROP COLUMN failed_recipients, DROP COLUMN skipped_recipients;
    `);
  }
}
