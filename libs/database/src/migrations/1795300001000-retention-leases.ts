import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Retention jobs: who leads each job, fenced, and what each run removed. */
export class RetentionLeases1795300001000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE SCHEMA retention;
      CREATE TABLE retention.lease (
        job text PRIMARY KEY,
        holder text NOT NULL,
        -- Grows with each take-over; a leader whose number is old may not write.
        fence bigint NOT NULL,
        expires_at timestamptz NOT NULL
      );
      CREATE TABLE retention.job_run (
        id uuid PRIMARY KEY,
        job text NOT NULL,
        fence bigint NOT NULL,
        started_at timestamptz NOT NULL DEFAULT now(),
        finished_at timestamptz,
        removed bigint NOT NULL DEFAULT 0,
        failure text
      );
      CREATE INDEX job_run_by_job ON retention.job_run (job, started_at DESC);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP SCHEMA retention CASCADE');
  }
}
