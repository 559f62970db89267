import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Identity secrets, encrypted with the installation's key. Configuration: kept until deleted by hand. */
export class IdentitySecrets1795300000200 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE SCHEMA identity;
      CREATE TABLE identity.secret (
        environment_id uuid NOT NULL,
        id uuid NOT NULL,
        ciphertext bytea NOT NULL,
        last_four text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        retired_at timestamptz,
        PRIMARY KEY (environment_id, id)
      );
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP SCHEMA identity CASCADE');
  }
}
