import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Subscribers with their attributes, the declared attribute types, and imports. Kept until the subscriber is deleted. */
export class SubscribersAudience1795300000300 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE SCHEMA subscribers;
      CREATE TABLE subscribers.subscriber (
        environment_id uuid NOT NULL,
        id uuid NOT NULL,
        external_id text COLLATE "C" NOT NULL CHECK (octet_length(external_id) BETWEEN 1 AND 255),
        attributes jsonb NOT NULL DEFAULT '{}',
        locale text,
        time_zone text,
        unsubscribed_at timestamptz,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (environment_id, id),
        UNIQUE (environment_id, external_id)
      ) WITH (fillfactor = 85);
      CREATE TABLE subscribers.attribute (
        environment_id uuid NOT NULL,
        name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
        type text NOT NULL CHECK (type IN ('string', 'number', 'boolean', 'date', 'list')),
        created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (environment_id, name)
      );
      CREATE TABLE subscribers.import (
        environment_id uuid NOT NULL,
        id uuid NOT NULL,
        state text NOT NULL CHECK (state IN ('running', 'finished', 'failed')),
        lines integer NOT NULL DEFAULT 0,
        created integer NOT NULL DEFAULT 0,
        updated integer NOT NULL DEFAULT 0,
        rejected integer NOT NULL DEFAULT 0,
        failure text,
        created_at timestamptz NOT NULL DEFAULT now(),
        finished_at timestamptz,
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
