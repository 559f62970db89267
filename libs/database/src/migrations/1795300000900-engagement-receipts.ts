import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Engagement: one row per message, subscriber, channel and kind, and the counts per run that are kept in the same transaction. */
export class EngagementReceipts1795300000900 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE SCHEMA engagement;
      CREATE TABLE engagement.receipt (
        environment_id uuid NOT NULL,
        message_key uuid NOT NULL,
        subscriber_id uuid NOT NULL,
        channel text NOT NULL CHECK (channel IN ('inbox', 'push')),
        kind text NOT NULL CONSTRAINT receipt_kind
          CHECK (kind IN ('delivered', 'shown', 'seen', 'read', 'clicked', 'dismissed', 'archived', 'converted', 'unsubscribed')),
        occurred_at timestamptz NOT NULL,
        recorded_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (message_key, subscriber_id, channel, kind)
      ) PARTITION BY RANGE (message_key);
      CREATE TABLE engagement.message_count (
        environment_id uuid NOT NULL,
        message_key uuid NOT NULL,
        channel text NOT NULL,
        kind text NOT NULL,
        subscribers integer NOT NULL,
        PRIMARY KEY (environment_id, message_key, channel, kind)
      ) WITH (fillfactor = 50);
      -- What campaigns may know of engagement: counts by message key (one per run).
      CREATE VIEW engagement.run_count AS
        SELECT environment_id, message_key, channel, kind, subscribers FROM engagement.message_count;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP SCHEMA engagement CASCADE');
  }
}
