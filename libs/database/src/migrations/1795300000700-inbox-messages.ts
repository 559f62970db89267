import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Inbox messages. The primary key serves dedupe, newest-first pages and retention; partitions by time of the UUIDv7 message key are
 * made by the partition manager and dropped when they are older than the inbox's retention.
 */
export class InboxMessages1795300000700 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE SCHEMA inbox;
      CREATE TABLE inbox.message (
        environment_id uuid NOT NULL,
        subscriber_id uuid NOT NULL,
        message_key uuid NOT NULL,
        content_id uuid NOT NULL,
        run_id uuid,
        -- Only the personalised fields; the rest is read from the content.
        rendered jsonb,
        delivered_at timestamptz NOT NULL DEFAULT now(),
        expires_at timestamptz NOT NULL,
        seen_at timestamptz,
        read_at timestamptz,
        archived_at timestamptz,
        -- The last change by the subscriber; with delivered_at it tells a reconnecting tab what it missed.
        changed_at timestamptz,
        PRIMARY KEY (subscriber_id, message_key)
      ) PARTITION BY RANGE (message_key);
      CREATE INDEX message_unread ON inbox.message (subscriber_id) WHERE read_at IS NULL AND archived_at IS NULL;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP SCHEMA inbox CASCADE');
  }
}
