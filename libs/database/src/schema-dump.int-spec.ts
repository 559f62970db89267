import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '#testing';
import { generateSchemaDump } from './schema-dump.js';

const COMMITTED = new URL('../schema.sql', import.meta.url);

/** The committed file is made with the embedded Postgres; other majors print some expressions differently. */
const DUMP_MAJOR = 18;

describe('schema dump', () => {
  let migrated: TestDatabase;
  beforeAll(async () => {
    migrated = await createTestDatabase();
  });
  afterAll(() => migrated.close());

  it('is what libs/database/schema.sql says', async ({ skip }) => {
    const [row] = await migrated.database.query<{ version: string }>({ text: "SELECT current_setting('server_version_num') AS version" });
    const major = Math.floor(Number(row?.version) / 10_000);
    skip(major !== DUMP_MAJOR, `the server is Postgres ${major}, the file is made with ${DUMP_MAJOR}`);
    const committed = await readFile(COMMITTED, 'utf8');
    expect(await generateSchemaDump(migrated.database), 'run `npm run generate` and commit the file').toBe(committed);
  });

  it('makes the same schema again in an empty database', async () => {
    const dump = await generateSchemaDump(migrated.database);
    const copy = await createTestDatabase({ migrated: false });
    try {
      await copy.database.execute({ text: dump });
      expect(await generateSchemaDump(copy.database)).toBe(dump);
    } finally {
      await copy.close();
    }
  });

  it('leaves partitions out and shows their parents', async () => {
    const dump = await generateSchemaDump(migrated.database);
    expect(dump).toContain('CREATE TABLE inbox.message (');
    expect(dump).toContain('PARTITION BY RANGE (message_key)');
    expect(dump).not.toMatch(/message_p\d{8}/);
  });

  it('shows every change of a table', async () => {
    const changed = await createTestDatabase();
    try {
      const before = linesOf(await generateSchemaDump(changed.database));
      await changed.database.execute({ text: `ALTER TABLE tenancy.workspace ADD COLUMN note text COLLATE "C" NOT NULL DEFAULT 'none'` });
      await changed.database.execute({ text: 'CREATE INDEX workspace_note ON tenancy.workspace (lower(note)) WHERE length(note) > 3' });
      await changed.database.execute({ text: 'ALTER TABLE tenancy.workspace ADD CHECK (length(note) < 100)' });
      const after = linesOf(await generateSchemaDump(changed.database));
      expect(after.filter((line) => !before.includes(line))).toEqual([
        `note text COLLATE "C" DEFAULT 'none'::text NOT NULL`,
        'CONSTRAINT workspace_note_check CHECK ((length(note) < 100))',
        'CREATE INDEX workspace_note ON tenancy.workspace USING btree (lower(note)) WHERE (length(note) > 3)',
      ]);
    } finally {
      await changed.close();
    }
  });

  it('refuses objects that it cannot show', async () => {
    const other = await createTestDatabase();
    try {
      await other.database.execute({ text: "CREATE TYPE tenancy.mood AS ENUM ('good', 'bad')" });
      await expect(generateSchemaDump(other.database)).rejects.toThrow('cannot show: type tenancy.mood');
    } finally {
      await other.close();
    }
  });
});

function linesOf(dump: string): string[] {
  return dump.split('\n').map((line) => line.trim().replace(/[,;]$/, ''));
}
