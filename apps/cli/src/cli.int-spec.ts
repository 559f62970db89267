import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Environment } from '#config';
import { createTestDatabase, type TestDatabase } from '#testing';
import { runCli } from './run-cli.js';

const SECRET_KEY = Buffer.alloc(32, 7).toString('base64');
let test: TestDatabase;
let env: Environment;

beforeEach(async () => {
  test = await createTestDatabase({ migrated: false });
  env = { DATABASE_URL: test.url, BELFRY_SECRET_KEY: SECRET_KEY, DATABASE_START_WAIT_MS: '0' };
});
afterEach(() => test.close());

async function run(args: readonly string[], variables: Environment = env) {
  const text = { out: '', err: '' };
  const code = await runCli(args, {
    env: variables,
    stdout: { write: (chunk) => (text.out += chunk) },
    stderr: { write: (chunk) => (text.err += chunk) },
  });
  return { code, out: text.out, err: text.err };
}

async function countWorkspaces(): Promise<number> {
  const [row] = await test.database.query<{ count: number }>({ text: 'SELECT count(*)::integer AS count FROM tenancy.workspace' });
  return row?.count ?? 0;
}

describe('init', () => {
  it('brings an empty database up to date and prints all keys of the new workspace', async () => {
    const { code, out } = await run(['init', '--name', 'Acme', '--json']);
    expect(code).toBe(0);
    expect(out.trim().split('\n')).toHaveLength(1);
    const printed = JSON.parse(out);
    expect(printed.workspace).toMatchObject({ name: 'Acme', id: expect.stringMatching(/^wsp_/) });
    expect(printed.environments).toMatchObject([
      {
        kind: 'production',
        public_key: expect.stringMatching(/^pk_live_/),
        api_key: expect.stringMatching(/^sk_live_/),
        identity_secret: expect.stringMatching(/^isk_live_/),
      },
      {
        kind: 'development',
        public_key: expect.stringMatching(/^pk_test_/),
        api_key: expect.stringMatching(/^sk_test_/),
        identity_secret: expect.stringMatching(/^isk_test_/),
      },
    ]);
  });

  it('prints the keys for people without --json', async () => {
    const { out } = await run(['init']);
    for (const word of ['My workspace', 'production', 'development', 'sk_live_', 'pk_test_', 'isk_live_']) expect(out).toContain(word);
  });

  it('refuses a second workspace in one line unless it is forced', async () => {
    await run(['init']);
    const refused = await run(['init']);
    expect(refused).toMatchObject({ code: 2, out: '', err: expect.stringMatching(/^error: .*My workspace.*--force-new.*\n$/) });
    expect(refused.err.trim().split('\n')).toHaveLength(1);
    expect(await countWorkspaces()).toBe(1);
    expect((await run(['init', '--force-new'])).code).toBe(0);
    expect(await countWorkspaces()).toBe(2);
  });

  it('opens one workspace when several start at the same time', async () => {
    await run(['migrate']);
    const results = await Promise.all(Array.from({ length: 3 }, () => run(['init', '--json'])));
    expect(results.map(({ code }) => code).sort((left, right) => left - right)).toEqual([0, 2, 2]);
    expect(await countWorkspaces()).toBe(1);
  });

  it('tells failures as JSON with --json', async () => {
    await run(['init']);
    const { err } = await run(['init', '--json']);
    expect(JSON.parse(err)).toMatchObject({ error: { code: 'workspace_exists' } });
  });

  it('refuses names that cannot be stored', async () => {
    for (const name of ['', 'x'.repeat(101), 'a\0b']) expect((await run(['init', '--name', name])).code).toBe(2);
  });
});

describe('the command line', () => {
  it('exits with 2 and says what is wrong with unknown commands and options', async () => {
    for (const args of [['nonsense'], ['init', '--nonsense'], ['init', '--name']]) {
      const { code, out, err } = await run(args);
      expect({ code, out }).toEqual({ code: 2, out: '' });
      expect(err).toMatch(/^error: /);
    }
  });

  it('exits with 0 for help', async () => {
    expect(await run(['--help'])).toMatchObject({ code: 0, out: expect.stringContaining('init') });
  });

  it('names a missing or wrong installation key', async () => {
    for (const key of [undefined, 'short']) {
      const { code, err } = await run(['init'], { ...env, BELFRY_SECRET_KEY: key });
      expect(code).toBe(2);
      expect(err).toContain('BELFRY_SECRET_KEY');
      expect(err).toContain('openssl rand -base64 32');
      expect(err).not.toContain('short');
    }
  });

  it('exits with 1 when the database is away', async () => {
    const { code, err } = await run(['init'], { ...env, DATABASE_URL: 'postgres://belfry@127.0.0.1:1/belfry' });
    expect(code).toBe(1);
    expect(err).toMatch(/^error: Postgres is not available.*\n$/);
  });

  it('starts the embedded Postgres, keeps its key beside the data, and works on the same data again', { timeout: 60_000 }, async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'belfry-cli-'));
    try {
      const embedded = { BELFRY_POSTGRES_DIR: dataDir };
      expect((await run(['init', '--json'], embedded)).code).toBe(0);
      expect(await readdir(dataDir)).toContain('secret-key');
      expect(await run(['init', '--json'], embedded)).toMatchObject({ code: 2, err: expect.stringContaining('workspace_exists') });
    } finally {
      await rm(dataDir, { recursive: true, force: true });
    }
  });
});
