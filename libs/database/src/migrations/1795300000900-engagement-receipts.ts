import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Engagement: one row per message, subscriber, channel and kind, and counts by message, which are raised by the statement that writes
 * the rows. Both are partitioned by time of the UUIDv7 message key and dropped together when they are older than the retention of
 * engagement, so that counts equal a recount at any time.
 */
export class EngagementReceipts1795300000900 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE SCHEMA engagement;
      CREATE TABLE engagement.receipt (
        environment_id uuid NOT NULL,
        message_key uuid NOT NULL,
        subscriber_id uuid NOT NULL,
        channel text NOT NULL CONSTRAINT receipt_channel CHECK (channel IN ('inbox', 'push')),
        kind text NOT NULL CONSTRAINT receipt_kind
          CHECK (kind IN ('delivered', 'shown', 'seen', 'read', 'clicked', 'dismissed', 'archived', 'converted', 'unsubscribed')),
        -- When the person did it, as the device says, within what is possible.
        occurred_at timestamptz NOT NULL,
        recorded_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (message_key, subscriber_id, channel, kind)
      ) PARTITION BY RANGE (message_key);
      CREATE TABLE engagement.message_count (
        environment_id uuid NOT NULL,
        message_key uuid NOT NULL,
        channel text NOT NULL,
        kind text NOT NULL,
        subscribers integer NOT NULL CONSTRAINT message_count_counts_somebody CHECK (subscribers > 0),
        PRIMARY KEY (environment_id, message_key, channel, kind)
      ) PARTITION BY RANGE (message_key);

      -- What campaigns may know of engagement: a run has one message key.
      CREATE VIEW engagement.run_count AS
        SELECT environment_id, message_key, channel, kind, subscribers FROM engagement.message_count;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP SCHEMA engagement CASCADE');
  }
}
