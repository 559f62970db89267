import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Segments: named rules. Configuration: kept until deleted by hand. */
export class SegmentsSegments1795300000500 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(String.raw`
      CREATE SCHEMA segments;
      CREATE TABLE segments.segment (
        environment_id uuid NOT NULL,
        id uuid NOT NULL,
        name text COLLATE "C" NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
        rule jsonb NOT NULL,
        created_at timestamptz(3) NOT NULL DEFAULT now(),
        updated_at timestamptz(3) NOT NULL DEFAULT now(),
        PRIMARY KEY (environment_id, id),
        UNIQUE (environment_id, name)
      );
      -- The instant that an attribute value names, to the millisecond; NULL when it is no date. The pattern lets only texts through that
      -- the cast takes; it is INSTANT_PATTERN of libs/segments/src/rule/instant.ts, and a test compares the two.
      CREATE FUNCTION segments.instant_of(value jsonb) RETURNS timestamptz
        LANGUAGE sql STABLE PARALLEL SAFE
        RETURN CASE
          WHEN jsonb_typeof(value) = 'string' AND (value #>> '{}') ~ '^(?!0000)([0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))|([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)(T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9]))?$'
          THEN date_trunc('milliseconds', (CASE length(value #>> '{}') WHEN 10 THEN (value #>> '{}') || 'T00:00:00Z' ELSE value #>> '{}' END)::timestamptz)
        END;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP SCHEMA segments CASCADE');
  }
}
