import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Message content, stored once and never changed. Kept as long as a campaign, run or message names it. */
export class ContentContents1795300000400 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE SCHEMA content;
      CREATE TABLE content.content (
        environment_id uuid NOT NULL,
        id uuid NOT NULL,
        -- title, body, url, icon, actions, data as the API took them; Liquid templates unrendered.
        fields jsonb NOT NULL,
        personalised boolean NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (environment_id, id)
      );
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP SCHEMA content CASCADE');
  }
}
