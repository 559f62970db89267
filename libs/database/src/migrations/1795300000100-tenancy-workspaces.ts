import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Workspaces, their environments and API keys. Configuration: kept until deleted by hand. */
export class TenancyWorkspaces1795300000100 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE SCHEMA tenancy;
      CREATE TABLE tenancy.workspace (
        id uuid PRIMARY KEY,
        name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
        created_at timestamptz NOT NULL DEFAULT now()
      );
      CREATE TABLE tenancy.environment (
        id uuid PRIMARY KEY,
        workspace_id uuid NOT NULL REFERENCES tenancy.workspace,
        name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
        kind text NOT NULL CHECK (kind IN ('production', 'development')),
        public_key text NOT NULL UNIQUE,
        allowed_origins text[] NOT NULL DEFAULT '{}',
        created_at timestamptz NOT NULL DEFAULT now(),
        UNIQUE (workspace_id, name)
      );
      CREATE TABLE tenancy.api_key (
        environment_id uuid NOT NULL REFERENCES tenancy.environment,
        id uuid NOT NULL,
        name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
        key_hash bytea NOT NULL UNIQUE,
        last_four text NOT NULL,
        scopes text[] NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        revoked_at timestamptz,
        PRIMARY KEY (environment_id, id)
      );
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP SCHEMA tenancy CASCADE');
  }
}
