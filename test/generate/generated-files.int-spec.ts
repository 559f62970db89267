import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TOPICS } from '#contracts';
import { findDocumentFaults } from '#http';
import { createTestDatabase, type TestDatabase } from '#testing';
import { configSections, errorClasses, generateFiles } from './generated-files.js';

describe('generated files', () => {
  let test: TestDatabase;
  let files: ReadonlyMap<string, string>;
  beforeAll(async () => {
    test = await createTestDatabase();
    files = await generateFiles(test.url);
  });
  afterAll(() => test.close());

  it('are up to date', async () => {
    for (const [path, text] of files) {
      // The committed schema is that of Postgres 18; libs/database checks it with the server's version in view.
      if (path.endsWith('schema.sql')) continue;
      expect(await readFile(path, 'utf8'), `${path}: run "npm run generate" and commit it`).toBe(text);
    }
  });

  it('document every configuration key and every error code, each once', () => {
    const keys = configSections().flatMap((section) => Object.values(section.settings).map((setting) => setting.key));
    const codes = errorClasses().map((error) => error.facts.code);
    expect(keys.length).toBeGreaterThan(20);
    expect(codes.length).toBeGreaterThan(20);
    expect(new Set(keys).size).toBe(keys.length);
    expect(new Set(codes).size).toBe(codes.length);
    for (const key of keys) expect(files.get('docs/configuration.md')).toContain(key);
    for (const code of codes) expect(files.get('docs/errors.md')).toContain(code);
    for (const { topic } of TOPICS) expect(files.get('ARCHITECTURE.md')).toContain(topic);
  });

  it('describe an API whose every route has an id, a summary, answers and a permission', () => {
    const document = JSON.parse(files.get('docs/openapi.json') ?? '{}') as Parameters<typeof findDocumentFaults>[0];
    expect(Object.keys(document.paths).length).toBeGreaterThan(20);
    expect(findDocumentFaults(document)).toEqual([]);
  });
});
