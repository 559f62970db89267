import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '#testing';
import { runCli } from './run-cli.js';

/** 7,043 customers of a telecom company; not part of the project. */
const TELCO = resolve(import.meta.dirname, '../../../../shared/data/telco-customers.csv');

let test: TestDatabase;
let directory: string;

beforeAll(async () => {
  test = await createTestDatabase({ migrated: false });
  directory = await mkdtemp(join(tmpdir(), 'belfry-cli-import-'));
  expect((await run('init')).code).toBe(0);
});
afterAll(async () => {
  await test.close();
  await rm(directory, { recursive: true, force: true });
});

async function run(...args: string[]) {
  const text = { out: '', err: '' };
  const code = await runCli([...args, '--json'], {
    env: { DATABASE_URL: test.url, BELFRY_SECRET_KEY: Buffer.alloc(32, 7).toString('base64'), DATABASE_START_WAIT_MS: '0' },
    stdout: { write: (chunk) => (text.out += chunk) },
    stderr: { write: (chunk) => (text.err += chunk) },
  });
  return { code, out: text.out === '' ? undefined : (JSON.parse(text.out) as Record<string, unknown>), err: text.err };
}

async function fileOf(content: string): Promise<string> {
  const path = join(directory, 'audience.csv');
  await writeFile(path, content);
  return path;
}

describe('import', () => {
  it('imports a file and answers with its counts', async () => {
    const path = await fileOf('Customer;Age;Plan\nc1;30;pro\nc2;31;\n');
    const args = [
      path,
      '--environment',
      'development',
      '--id-column',
      'Customer',
      '--delimiter',
      ';',
      '--map',
      'Age=age:number',
      '--map',
      'Plan=plan',
    ];
    expect(await run('import', ...args)).toMatchObject({
      code: 0,
      out: { state: 'finished', lines: 2, created: 2, rejected: 0, rejections: [] },
    });
    expect(await run('import', ...args)).toMatchObject({ code: 0, out: { created: 0, updated: 2 } });
    const rows = await test.database.query({ text: 'SELECT external_id, attributes FROM subscribers.subscriber ORDER BY external_id' });
    expect(rows).toEqual([
      { external_id: 'c1', attributes: { age: 30, plan: 'pro' } },
      { external_id: 'c2', attributes: { age: 31 } },
    ]);
  });

  it('ends with 5 and names the lines when some were rejected', async () => {
    const answer = await run('import', await fileOf('id,a\nx,1\n,2\n'), '--environment', 'production', '--id-column', 'id');
    expect(answer).toMatchObject({ code: 5, out: { created: 1, rejected: 1, rejections: [{ line: 3, code: 'external_id_missing' }] } });
  });

  it('ends with 2 for a file that cannot be imported like this, and 4 for an unknown environment', async () => {
    const path = await fileOf('id,a\nx,1\n');
    expect((await run('import', path, '--environment', 'production', '--id-column', 'nope')).code).toBe(2);
    expect((await run('import', path, '--environment', 'production', '--id-column', 'id', '--map', 'nonsense')).code).toBe(2);
    const missing = await run('import', join(directory, 'missing.csv'), '--environment', 'production', '--id-column', 'id');
    expect(missing).toMatchObject({ code: 2, err: expect.stringContaining('there is no file') });
    expect((await run('import', path, '--environment', 'staging', '--id-column', 'id')).code).toBe(4);
  });

  it.skipIf(!existsSync(TELCO))(`imports the telco customers whole (skipped without ${TELCO})`, { timeout: 60_000 }, async () => {
    const answer = await run('import', TELCO, '--environment', 'development', '--id-column', 'customerID');
    expect(answer).toMatchObject({ code: 0, out: { lines: 7_043, created: 7_043, rejected: 0 } });
  });
});
