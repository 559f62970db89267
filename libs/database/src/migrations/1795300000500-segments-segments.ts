import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Segments: named rules. Configuration: kept until deleted by hand. */
export class SegmentsSegments1795300000500 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE SCHEMA segments;
      CREATE TABLE segments.segment (
        environment_id uuid NOT NULL,
        id uuid NOT NULL,
        name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
        rule jsonb NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (environment_id, id),
        UNIQUE (environment_id, name)
      );
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP SCHEMA segments CASCADE');
  }
}
