import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Subscribers with their attributes, the declared attribute types, and imports. Kept until the subscriber is deleted. */
export class SubscribersAudience1795300000300 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE SCHEMA subscribers;
      -- Times have milliseconds, as in JavaScript: what a program read back compares like the row itself.
      CREATE TABLE subscribers.subscriber (
        environment_id uuid NOT NULL,
        id uuid NOT NULL,
        external_id text COLLATE "C" NOT NULL CHECK (octet_length(external_id) BETWEEN 1 AND 255),
        attributes jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(attributes) = 'object'),
        locale text COLLATE "C",
        time_zone text COLLATE "C",
        unsubscribed_at timestamptz(3),
        created_at timestamptz(3) NOT NULL DEFAULT now(),
        updated_at timestamptz(3) NOT NULL DEFAULT now(),
        PRIMARY KEY (environment_id, id),
        UNIQUE (environment_id, external_id)
      ) WITH (fillfactor = 85);
      CREATE TABLE subscribers.attribute (
        environment_id uuid NOT NULL,
        name text COLLATE "C" NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
        type text NOT NULL CHECK (type IN ('string', 'number', 'boolean', 'date', 'list')),
        created_at timestamptz(3) NOT NULL DEFAULT now(),
        updated_at timestamptz(3) NOT NULL DEFAULT now(),
        PRIMARY KEY (environment_id, name)
      );
      -- lines = created + updated + rejected. A running import whose progress_at grew old was interrupted.
      CREATE TABLE subscribers.import (
        environment_id uuid NOT NULL,
        id uuid NOT NULL,
        state text NOT NULL CHECK (state IN ('running', 'finished', 'failed')),
        columns jsonb NOT NULL DEFAULT '[]',
        lines integer NOT NULL DEFAULT 0,
        created integer NOT NULL DEFAULT 0,
        updated integer NOT NULL DEFAULT 0,
        rejected integer NOT NULL DEFAULT 0,
        failure_code text,
        failure text,
        created_at timestamptz(3) NOT NULL DEFAULT now(),
        progress_at timestamptz(3) NOT NULL DEFAULT now(),
        finished_at timestamptz(3),
        PRIMARY KEY (environment_id, id)
      );
      CREATE TABLE subscribers.import_rejection (
        environment_id uuid NOT NULL,
        import_id uuid NOT NULL,
        line_no integer NOT NULL,
        code text NOT NULL,
        reason text NOT NULL,
        PRIMARY KEY (environment_id, import_id, line_no)
      );
      -- The one rule by which a change meets what is there: shallow, by name. removed is an object of names with null values, or NULL. No
      -- attribute is ever null, so that stripping nulls removes just those. Without a subquery the planner can inline it.
      CREATE FUNCTION subscribers.merge_attributes(present jsonb, patch jsonb, removed jsonb) RETURNS jsonb
        LANGUAGE sql IMMUTABLE PARALLEL SAFE
        RETURN CASE WHEN removed IS NULL THEN present || patch ELSE jsonb_strip_nulls(present || patch || removed) END;
      -- The read of other contexts (segments, campaigns, delivery stages) over people: they never touch the tables.
      CREATE VIEW subscribers.audience AS
        SELECT environment_id, id, external_id, attributes, locale, time_zone, unsubscribed_at, created_at
        FROM subscribers.subscriber;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP SCHEMA subscribers CASCADE');
  }
}
