import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Answers of finished writes by Idempotency-Key, so that a repeat gets the first answer. Kept for 24 hours, then deleted by
 * the policy of libs/http. `response` is json, not jsonb: a repeat gets the members in the order of the first answer.
 */
export class HttpIdempotency1795300000050 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE SCHEMA http;
      CREATE TABLE http.idempotency_record (
        environment_id uuid NOT NULL,
        route text NOT NULL,
        key text NOT NULL,
        request_hash bytea NOT NULL,
        response json,
        created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (environment_id, route, key),
        CHECK (length(key) BETWEEN 1 AND 255),
        CHECK (octet_length(request_hash) = 32)
      );
      CREATE INDEX idempotency_record_created_at ON http.idempotency_record (created_at);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP SCHEMA http CASCADE');
  }
}
