import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { campaignRunTriggeredV1, encodeId, newUuid } from '#contracts';
import { DeadLetterStore, EVERY_ENVIRONMENT, Outbox } from '#event-log';
import { seedEnvironment, type SeededEnvironment } from '#tenancy';
import { createTestDatabase, type TestDatabase } from '#testing';
import { runCli } from './run-cli.js';

const API_KEY_IN_RECORD = `sk_live_${'a'.repeat(43)}`;

describe('dead-letters', () => {
  let test: TestDatabase;
  let store: DeadLetterStore;
  let home: SeededEnvironment;
  let other: SeededEnvironment;
  let offset = 0n;

  beforeAll(async () => {
    test = await createTestDatabase();
    store = new DeadLetterStore(test.database, new Outbox(test.database));
    [home, other] = [await seedEnvironment(test.database), await seedEnvironment(test.database)];
  });
  beforeEach(() => test.database.execute({ text: 'TRUNCATE event_log.dead_letter, event_log.outbox' }));
  afterAll(() => test.close());

  async function setAside(environmentId: string | undefined, topic = campaignRunTriggeredV1.topic): Promise<void> {
    offset += 1n;
    const event = { environment_id: environmentId, run_id: API_KEY_IN_RECORD };
    const value = Buffer.from(environmentId === undefined ? `{"token":"abc","half` : JSON.stringify(event));
    const place = { group: 'segmenter.plan-run', topic, partition: 0, offset, key: 'k', headers: {}, appendedAt: new Date() };
    await store.put({ ...place, value, reasonCode: 'record_undecodable', reasonMessage: 'no JSON', attempts: 0 });
  }

  async function run(...args: string[]) {
    const text = { out: '', err: '' };
    const env = { DATABASE_URL: test.url, BELFRY_SECRET_KEY: Buffer.alloc(32, 7).toString('base64'), DATABASE_START_WAIT_MS: '0' };
    const code = await runCli(['dead-letters', ...args], {
      env,
      stdout: { write: (chunk) => (text.out += chunk) },
      stderr: { write: (chunk) => (text.err += chunk) },
    });
    return { code, ...text };
  }

  async function list(...args: string[]) {
    const { code, out } = await run('list', '--json', ...args);
    expect(code).toBe(0);
    return JSON.parse(out) as { data: { id: string; environment_id: string | null; state: string }[]; next_cursor: string | null };
  }

  const states = async () =>
    (await store.list(EVERY_ENVIRONMENT, {}, { limit: 100 })).map(({ environmentId, state }) => [environmentId, state] as const);
  const outboxCount = async () => (await test.database.query({ text: 'SELECT 1 FROM event_log.outbox' })).length;

  it('lists those of every environment and of none, by page and by filter', async () => {
    expect((await run('list')).out).toBe('There are none.\n');
    await setAside(home.environmentId);
    await setAside(other.environmentId);
    await setAside(undefined);
    const page = await list('--limit', '2');
    const rest = await list('--cursor', page.next_cursor ?? '');
    const environments = [...page.data, ...rest.data].map((each) => each.environment_id).toSorted();
    expect(environments).toEqual(
      [encodeId('environment', home.environmentId), encodeId('environment', other.environmentId), null].toSorted(),
    );
    expect((await list('--environment', home.publicKey)).data).toHaveLength(1);
    expect((await list('--topic', 'x')).data).toEqual([]);
    expect((await list('--state', 'discarded')).data).toEqual([]);
    const { out } = await run('list', '--reason', 'record_undecodable');
    expect(out.trim().split('\n')).toHaveLength(3);
    expect(out).toContain('campaign.run.triggered.v1/0@');
  });

  it('shows one with its record, secrets redacted', async () => {
    await setAside(home.environmentId);
    await setAside(undefined);
    for (const { id, environment_id: environmentId } of (await list()).data) {
      const [people, json] = [await run('show', id), await run('show', id, '--json')];
      expect([people.code, json.code]).toEqual([0, 0]);
      for (const { out } of [people, json]) {
        expect(out).toContain('[redacted]');
        expect(out).not.toContain(API_KEY_IN_RECORD);
        expect(out).not.toContain('abc');
      }
      expect(people.out).toContain(environmentId ?? 'none that can be told');
      expect(JSON.parse(json.out)).toMatchObject({ id, environment_id: environmentId, reason: { code: 'record_undecodable' } });
    }
  });

  it('replays and discards one; a repeat changes nothing, the opposite is refused', async () => {
    await setAside(undefined);
    const id = (await list()).data[0]?.id ?? '';
    for (let count = 0; count < 2; count += 1) {
      const { code, out } = await run('replay', id, '--json');
      expect([code, JSON.parse(out)]).toEqual([0, expect.objectContaining({ id, state: 'replayed', environment_id: null })]);
    }
    expect(await outboxCount()).toBe(1);
    expect(await run('discard', id)).toMatchObject({ code: 2, out: '', err: expect.stringMatching(/^error: .*replayed before/) as string });
  });

  it('settles all that pass the filters, and tells which could not be settled', async () => {
    for (let count = 0; count < 3; count += 1) await setAside(home.environmentId);
    await setAside(home.environmentId, 'campaign.run.triggered.v0');
    await setAside(other.environmentId);
    const replayed = await run('replay', '--all', '--environment', home.publicKey, '--json');
    expect(replayed.code).toBe(5);
    expect(JSON.parse(replayed.out)).toMatchObject({
      replayed: 3,
      failed: 1,
      failures: [{ reason: expect.stringContaining('v0') as string }],
    });
    expect(await outboxCount()).toBe(3);
    expect(await run('discard', '--all', '--topic', 'campaign.run.triggered.v0')).toMatchObject({ code: 0, out: '1 discarded, 0 not\n' });
    expect((await states()).filter(([, state]) => state === 'waiting')).toEqual([[other.environmentId, 'waiting']]);
    expect(await run('replay', '--all')).toMatchObject({ code: 0, out: '1 replayed, 0 not\n' });
    expect(await run('replay', '--all')).toMatchObject({ code: 0, out: '0 replayed, 0 not\n' });
  });

  it('refuses unclear requests and knows no unknown ids', async () => {
    await setAside(home.environmentId);
    const id = encodeId('deadLetter', newUuid());
    for (const args of [
      ['replay'],
      ['discard', id, '--all'],
      ['replay', id, '--topic', 'x'],
      ['list', '--limit', '0'],
      ['list', '--state', 'x'],
    ])
      expect([args, (await run(...args)).code]).toEqual([args, 2]);
    for (const args of [
      ['show', id],
      ['replay', id],
      ['discard', 'nonsense'],
      ['list', '--environment', 'nowhere'],
    ])
      expect([args, (await run(...args)).code]).toEqual([args, 4]);
    expect(await run('list', '--cursor', 'x')).toMatchObject({ code: 2 });
    expect(await states()).toEqual([[home.environmentId, 'waiting']]);
  });
});
