import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Identity: the life of a key (created, seen in use, retiring, retired) with what it was used for, keys that verify tokens, revocations of
 * subscribers, and tickets for streams. Retention: keys until deleted by hand, uses 35 days, revocations as long as their subscriber is
 * known, tickets seconds.
 */
export class IdentityKeys1795300001400 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE identity.secret
        ADD COLUMN algorithm text NOT NULL DEFAULT 'HMAC-SHA256'
          CONSTRAINT secret_algorithm CHECK (algorithm IN ('HMAC-SHA256', 'HS256', 'RS256', 'ES256', 'EdDSA')),
        -- The kid by which tokens name the key.
        ADD COLUMN key_name text,
        -- The end of the overlap; the key is retired from then on.
        ADD COLUMN retire_at timestamptz,
        ADD COLUMN first_used_at timestamptz,
        ADD COLUMN last_used_at timestamptz,
        ADD CONSTRAINT secret_key_name CHECK ((key_name IS NULL) = (algorithm = 'HMAC-SHA256'));
      CREATE UNIQUE INDEX secret_live_key_name ON identity.secret (environment_id, key_name) WHERE retired_at IS NULL;
      CREATE INDEX secret_retired ON identity.secret (retired_at) WHERE retired_at IS NOT NULL;

      CREATE TABLE identity.key_use (
        environment_id uuid NOT NULL,
        secret_id uuid NOT NULL,
        used_on date NOT NULL,
        uses bigint NOT NULL CONSTRAINT key_use_counts_something CHECK (uses > 0),
        PRIMARY KEY (environment_id, secret_id, used_on)
      );

      -- By the customer's own id: it holds for a person who is not known yet, and is asked for before anybody is looked up.
      CREATE TABLE identity.revocation (
        environment_id uuid NOT NULL,
        external_id text NOT NULL,
        revoked_at timestamptz NOT NULL,
        -- By the clock of the database, for gateways that read what is new.
        changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (environment_id, external_id)
      );
      CREATE INDEX revocation_changed ON identity.revocation (changed_at);

      CREATE TABLE identity.stream_ticket (
        environment_id uuid NOT NULL,
        ticket_hash bytea NOT NULL,
        -- The session behind the ticket: ids and scopes, no token.
        session jsonb NOT NULL,
        expires_at timestamptz NOT NULL,
        PRIMARY KEY (ticket_hash)
      );
      CREATE INDEX stream_ticket_expiry ON identity.stream_ticket (expires_at);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TABLE identity.stream_ticket, identity.revocation, identity.key_use;
      DROP INDEX identity.secret_retired, identity.secret_live_key_name;
      DELETE FROM identity.secret WHERE algorithm <> 'HMAC-SHA256';
      ALTER TABLE identity.secret
        DROP COLUMN algorithm, DROP COLUMN key_name, DROP COLUMN retire_at, DROP COLUMN first_used_at, DROP COLUMN last_used_at;
    `);
  }
}
