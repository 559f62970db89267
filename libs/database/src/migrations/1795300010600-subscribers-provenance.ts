import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What browsers say of people and companies: attributes that a proof covers apart from those that none does, with their provenance;
 * companies with their members; and the attributes of each environment that a page may not decide. Kept until the person or the company is
 * deleted.
 */
export class SubscribersProvenance1795300010600 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE tenancy.environment
        ADD COLUMN protected_traits text[] NOT NULL DEFAULT '{plan,mrr}';

      ALTER TABLE subscribers.subscriber
        -- False for those whom nothing but an unproven call of a page ever named.
        ADD COLUMN verified boolean NOT NULL DEFAULT true,
        -- By name: value, grade of the proof that came with it, time. NULL where there are none; segments and templates never read them.
        ADD COLUMN unverified_attributes jsonb
          CONSTRAINT subscriber_unverified_is_not_empty CHECK (unverified_attributes <> '{}'),
        -- By name of a verified attribute that a page brought: grade of the proof, time. All others came with an API key or an import.
        ADD COLUMN attribute_proofs jsonb
          CONSTRAINT subscriber_proofs_are_not_empty CHECK (attribute_proofs <> '{}');

      CREATE TABLE subscribers.company (
        environment_id uuid NOT NULL,
        id uuid NOT NULL,
        external_id text COLLATE "C" NOT NULL CHECK (octet_length(external_id) BETWEEN 1 AND 255),
        attributes jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(attributes) = 'object'),
        verified boolean NOT NULL DEFAULT true,
        unverified_attributes jsonb CONSTRAINT company_unverified_is_not_empty CHECK (unverified_attributes <> '{}'),
        attribute_proofs jsonb CONSTRAINT company_proofs_are_not_empty CHECK (attribute_proofs <> '{}'),
        created_at timestamptz(3) NOT NULL DEFAULT now(),
        updated_at timestamptz(3) NOT NULL DEFAULT now(),
        PRIMARY KEY (environment_id, id),
        UNIQUE (environment_id, external_id)
      );

      CREATE TABLE subscribers.membership (
        environment_id uuid NOT NULL,
        subscriber_id uuid NOT NULL,
        company_id uuid NOT NULL,
        -- Both were proven to belong together, not only named together.
        verified boolean NOT NULL,
        created_at timestamptz(3) NOT NULL DEFAULT now(),
        updated_at timestamptz(3) NOT NULL DEFAULT now(),
        PRIMARY KEY (environment_id, subscriber_id, company_id),
        FOREIGN KEY (environment_id, subscriber_id) REFERENCES subscribers.subscriber ON DELETE CASCADE,
        FOREIGN KEY (environment_id, company_id) REFERENCES subscribers.company ON DELETE CASCADE
      );
      CREATE INDEX membership_of_company ON subscribers.membership (environment_id, company_id);

      -- What is left of notes by attribute name when some attributes are written or removed by somebody who may. NULL when nothing is.
      CREATE FUNCTION subscribers.drop_notes(notes jsonb, written jsonb, removed jsonb) RETURNS jsonb
        LANGUAGE sql IMMUTABLE PARALLEL SAFE
        RETURN nullif(
          notes - ARRAY(SELECT jsonb_object_keys(written)) - ARRAY(SELECT jsonb_object_keys(coalesce(removed, '{}'))), '{}'
        );
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP FUNCTION subscribers.drop_notes(jsonb, jsonb, jsonb);
      DROP TABLE subscribers.membership, subscribers.company;
      ALTER TABLE subscribers.subscriber DROP COLUMN verified, DROP COLUMN unverified_attributes, DROP COLUMN attribute_proofs;
      ALTER TABLE tenancy.environment DROP COLUMN protected_traits;
    `);
  }
}
