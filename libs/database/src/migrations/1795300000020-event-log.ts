import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The event log on Postgres, the outbox and the dead letters. Owner: libs/event-log. Retention: `record` by dropping daily partitions,
 * `outbox` rows are deleted when they were appended, `dead_letter` by the retention context, the rest lives as long as its topic.
 */
export class EventLog1795300000020 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('CREATE SCHEMA event_log');
    await createLog(runner);
    await createGroups(runner);
    await createOutbox(runner);
    await createDeadLetters(runner);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP SCHEMA event_log CASCADE');
  }
}

async function createLog(runner: QueryRunner): Promise<void> {
  await runner.query(`
    CREATE TABLE event_log.topic (
      topic_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      topic text NOT NULL UNIQUE CHECK (length(topic) BETWEEN 1 AND 249),
      partitions integer NOT NULL CHECK (partitions BETWEEN 1 AND 1000),
      retention_hours integer NOT NULL CHECK (retention_hours > 0),
      created_at timestamptz NOT NULL DEFAULT now()
    );
    -- One row per partition of a topic. An append locks the rows that it touches in partition order and holds them until its commit:
    -- so offsets have no gaps, are committed in order, and two appends never deadlock. Half-empty pages keep the updates in place.
    CREATE TABLE event_log.head (
      topic_id integer NOT NULL REFERENCES event_log.topic,
      partition integer NOT NULL,
      next_offset bigint NOT NULL DEFAULT 0,
      PRIMARY KEY (topic_id, partition)
    ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
    CREATE TABLE event_log.record (
      topic_id integer NOT NULL,
      partition integer NOT NULL,
      record_offset bigint NOT NULL,
      appended_at timestamptz NOT NULL,
      key text NOT NULL,
      headers json,
      value bytea NOT NULL
    ) PARTITION BY RANGE (appended_at);
    -- Values are not compressed: most are a few hundred bytes, and compressing the large ones costs more than it saves.
    ALTER TABLE event_log.record ALTER COLUMN value SET STORAGE EXTERNAL;
    CREATE INDEX record_by_offset ON event_log.record (topic_id, partition, record_offset);
  `);
}

async function createGroups(runner: QueryRunner): Promise<void> {
  await runner.query(`
    CREATE TABLE event_log.group_member (
      group_name text NOT NULL,
      topic_id integer NOT NULL REFERENCES event_log.topic,
      member_id uuid NOT NULL,
      lease_expires_at timestamptz NOT NULL,
      PRIMARY KEY (group_name, topic_id, member_id)
    ) WITH (fillfactor = 50);
    -- How far a group is on one partition and who works on it. Each change of the owner raises the epoch; a commit names its epoch,
    -- so that a former owner cannot commit.
    CREATE TABLE event_log.group_partition (
      group_name text NOT NULL,
      topic_id integer NOT NULL REFERENCES event_log.topic,
      partition integer NOT NULL,
      committed_offset bigint NOT NULL CHECK (committed_offset >= 0),
      member_id uuid,
      epoch bigint NOT NULL DEFAULT 0,
      PRIMARY KEY (group_name, topic_id, partition)
    ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
  `);
}

async function createOutbox(runner: QueryRunner): Promise<void> {
  await runner.query(`
    -- Records that were committed together with their cause and wait for the event log. A row that exists was not appended yet.
    -- The primary key is the order of the relay's claim: by lane, by bucket (a hash of topic and key), by insertion.
    CREATE TABLE event_log.outbox (
      lane text NOT NULL CONSTRAINT outbox_lane CHECK (lane IN ('bulk', 'urgent')),
      bucket smallint NOT NULL,
      outbox_id bigint GENERATED ALWAYS AS IDENTITY,
      created_at timestamptz NOT NULL DEFAULT now(),
      topic text NOT NULL,
      key text NOT NULL,
      headers json,
      value bytea NOT NULL,
      PRIMARY KEY (lane, bucket, outbox_id)
    ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
    ALTER TABLE event_log.outbox ALTER COLUMN value SET STORAGE EXTERNAL;
  `);
}

async function createDeadLetters(runner: QueryRunner): Promise<void> {
  await runner.query(`
    CREATE TABLE event_log.dead_letter (
      id uuid PRIMARY KEY,
      group_name text NOT NULL,
      topic text NOT NULL,
      partition integer NOT NULL,
      record_offset bigint NOT NULL,
      -- Of the record, where its value names one; dead letters of undecodable records belong to nobody.
      environment_id uuid,
      key text NOT NULL,
      headers json NOT NULL,
      value bytea NOT NULL,
      reason_code text NOT NULL,
      reason_message text NOT NULL,
      attempts integer NOT NULL CHECK (attempts >= 0),
      state text NOT NULL DEFAULT 'waiting' CONSTRAINT dead_letter_state CHECK (state IN ('waiting', 'replayed', 'discarded')),
      appended_at timestamptz NOT NULL,
      failed_at timestamptz NOT NULL DEFAULT now(),
      settled_at timestamptz
    );
    -- The same record of the same group is one dead letter. The digest tells records apart that stand at the same offset because the
    -- log was made anew.
    CREATE UNIQUE INDEX dead_letter_once ON event_log.dead_letter (group_name, topic, partition, record_offset, sha256(value));
    CREATE INDEX dead_letter_waiting ON event_log.dead_letter (topic, id) WHERE state = 'waiting';
    CREATE INDEX dead_letter_by_environment ON event_log.dead_letter (environment_id, id) WHERE environment_id IS NOT NULL;
  `);
}
