import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newUuid } from '#contracts';
import { createTestDatabase, type TestDatabase } from '#testing';
import { runCli } from './run-cli.js';

const POLICY = 'http.idempotency_records';
let test: TestDatabase;

beforeAll(async () => {
  test = await createTestDatabase();
});
afterAll(() => test.close());

async function run(args: readonly string[], variables: Record<string, string> = {}) {
  const text = { out: '', err: '' };
  const code = await runCli(['retention', ...args], {
    env: { DATABASE_URL: test.url, BELFRY_SECRET_KEY: Buffer.alloc(32, 7).toString('base64'), ...variables },
    stdout: { write: (chunk) => (text.out += chunk) },
    stderr: { write: (chunk) => (text.err += chunk) },
  });
  return { code, ...text };
}

async function addRecords(count: number, age: string): Promise<void> {
  await test.database.execute({
    text: `INSERT INTO http.idempotency_record (environment_id, route, key, request_hash, created_at)
      SELECT $1::text::uuid, 'POST /v1/bells', $1::text || '-' || number, sha256('x'), now() - $2::interval FROM generate_series(1, $3::integer) AS number`,
    values: [newUuid(), age, count],
  });
}

const countRecords = async () => (await test.database.query({ text: 'SELECT FROM http.idempotency_record' })).length;

describe('retention', () => {
  it('says with --dry-run what would go, removes just that without it, and lists what it did', async () => {
    await addRecords(7, '25 hours');
    await addRecords(2, '23 hours');
    const survey = await run(['run', '--dry-run', '--json']);
    expect(survey).toMatchObject({ code: 0, err: '' });
    const planned = JSON.parse(survey.out);
    expect(planned).toMatchObject({ dry_run: true, rows: 7 });
    expect(planned.policies.map(({ policy }: { policy: string }) => policy)).toContain('campaigns.runs');
    expect(planned.policies[0]).toMatchObject({ policy: POLICY, kept_hours: 24, due: { 'http.idempotency_record': { rows: 7 } } });
    expect(await countRecords()).toBe(9);
    expect(JSON.parse((await run(['list', '--json'])).out)).toMatchObject({ runs: [] });

    const ended = await run(['run', '--json']);
    expect(ended.code).toBe(0);
    expect(JSON.parse(ended.out).policies[0]).toMatchObject({ policy: POLICY, outcome: 'done', removed: { 'http.idempotency_record': 7 } });
    expect(await countRecords()).toBe(2);
    const { policies, runs } = JSON.parse((await run(['list', '--policy', POLICY, '--json'])).out);
    expect(policies).toMatchObject([{ policy: POLICY, kept_hours: 24, holder: null, succeeded_at: expect.any(String) }]);
    expect(runs).toMatchObject([{ policy: POLICY, outcome: 'done', removed: { 'http.idempotency_record': 7 } }]);
  });

  it('tells people the same in words', async () => {
    await addRecords(3, '30 hours');
    expect((await run(['run', '--dry-run', '--policy', POLICY])).out).toMatch(
      /idempotency_record: 3 rows, oldest .*\n3 rows would go; nothing was written\n$/,
    );
    expect((await run(['run', '--policy', POLICY])).out).toMatch(/^http\.idempotency_records: done, http\.idempotency_record 3, /);
    expect((await run(['list'])).out).toMatch(/push\.devices: removes devices .* after 30 days; last through /);
  });

  it('ends with 5 when another process is at it', async () => {
    await test.database.execute({
      text: `INSERT INTO retention.lease (policy, token, holder, expires_at, due_at) VALUES ($1, 1, 'other', now() + interval '1 hour', now())
        ON CONFLICT (policy) DO UPDATE SET expires_at = excluded.expires_at`,
      values: [POLICY],
    });
    expect(await run(['run', '--policy', POLICY])).toMatchObject({ code: 5, out: `${POLICY}: another process is at it\n` });
    await test.database.execute({ text: 'UPDATE retention.lease SET expires_at = now()' });
  });

  it('refuses to keep less than the last run did, unless that is meant', async () => {
    await run(['run', '--policy', 'push.devices'], { PUSH_DEVICE_RETENTION_DAYS: '60' });
    const refused = await run(['run', '--policy', 'push.devices']);
    expect(refused).toMatchObject({ code: 2, err: expect.stringContaining('push.devices would keep 30 days instead of 60 days') });
    expect((await run(['run', '--policy', 'push.devices', '--accept-shorter'])).code).toBe(0);
    expect((await run(['run', '--policy', 'push.devices'])).code).toBe(0);
  });

  it('names the policies when one is unknown, and refuses limits that are no numbers', async () => {
    for (const command of ['run', 'list']) {
      expect(await run([command, '--policy', 'nonsense'])).toMatchObject({ code: 4, err: expect.stringContaining('campaigns.runs') });
    }
    expect((await run(['list', '--limit', 'many'])).code).toBe(2);
  });
});
