import { Module } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { BelfryConfig } from '#config';
import { campaignRunTriggeredV1, encodeId, newUuid } from '#contracts';
import { databaseConfig, DatabaseModule } from '#database';
import { type DeadLetter, DeadLetterStore, eventLogConfig, EventLogModule } from '#event-log';
import { createHttpApp, httpConfig } from '#http';
import { telemetryConfig } from '#telemetry';
import { seedEnvironment, type SeededEnvironment, tenancyConfig, TenancyModule } from '#tenancy';
import { createTestDatabase, type TestDatabase } from '#testing';
import { DeadLettersApiModule } from './dead-letters.module.js';

const SECTIONS = [httpConfig, telemetryConfig, databaseConfig, eventLogConfig, tenancyConfig];
const API_KEY_IN_RECORD = `sk_live_${'a'.repeat(43)}`;

describe('the API of dead letters', () => {
  let test: TestDatabase;
  let app: NestFastifyApplication;
  let store: DeadLetterStore;
  let home: SeededEnvironment;
  let foreign: SeededEnvironment;
  let offset = 0n;

  beforeAll(async () => {
    test = await createTestDatabase();
    @Module({ imports: [DatabaseModule.forRoot({ url: test.url }), EventLogModule.forRoot(), TenancyModule, DeadLettersApiModule] })
    class TestModule {}
    const env = { BELFRY_SECRET_KEY: Buffer.alloc(32, 7).toString('base64'), LOG_LEVEL: 'silent' };
    app = await createHttpApp(TestModule, { name: 'test', config: BelfryConfig.load(SECTIONS, env) });
    await app.init();
    store = app.get(DeadLetterStore);
    [home, foreign] = [await seedEnvironment(test.database), await seedEnvironment(test.database)];
  });
  beforeEach(() => test.database.execute({ text: 'TRUNCATE event_log.dead_letter, event_log.outbox' }));
  afterAll(async () => {
    await app.close();
    await test.close();
  });

  /** Sets a record of the home environment aside. @returns the public id of the dead letter */
  async function setAside(changes: Partial<DeadLetter> = {}): Promise<string> {
    offset += 1n;
    const letter: DeadLetter = {
      group: 'segmenter.plan-run',
      topic: campaignRunTriggeredV1.topic,
      partition: 3,
      offset,
      key: 'run',
      headers: { traceparent: '00-1-2-01', authorization: 'Basic abc' },
      value: Buffer.from(JSON.stringify({ environment_id: home.environmentId, run_id: 'x', note: API_KEY_IN_RECORD, token: 'abc' })),
      appendedAt: new Date('2026-11-22T10:00:00.123Z'),
      reasonCode: 'content_broken',
      reasonMessage: `the content of ${API_KEY_IN_RECORD} is broken`,
      attempts: 5,
      ...changes,
    };
    await store.put(letter);
    const [row] = await test.database.query<{ id: string }>({
      text: 'SELECT id FROM event_log.dead_letter WHERE record_offset = $1',
      values: [offset.toString()],
    });
    return encodeId('deadLetter', row?.id ?? '');
  }

  async function call(method: 'GET' | 'POST', path: string, as: SeededEnvironment = home) {
    const answer = await app.inject({ method, url: `/v1/dead-letters${path}`, headers: { authorization: `Bearer ${as.apiKey}` } });
    return { status: answer.statusCode, body: answer.json<Record<string, unknown>>() };
  }

  async function list(query = '', as: SeededEnvironment = home) {
    const { status, body } = await call('GET', query, as);
    expect(status).toBe(200);
    return body as { data: { id: string }[]; has_more: boolean; next_cursor: string | null };
  }

  const idsOf = (page: { data: { id: string }[] }): string[] => page.data.map(({ id }) => id);
  const outboxCount = async () => (await test.database.query({ text: 'SELECT 1 FROM event_log.outbox' })).length;

  it('shows reason, origin, attempts and times, and the record with its secrets redacted', async () => {
    const id = await setAside();
    const summary = {
      id,
      state: 'waiting',
      reason: { code: 'content_broken', message: 'the content of [redacted] is broken' },
      group: 'segmenter.plan-run',
      origin: { topic: campaignRunTriggeredV1.topic, partition: 3, offset: String(offset), appended_at: '2026-11-22T10:00:00.123Z' },
      key: 'run',
      value_bytes: expect.any(Number) as number,
      attempts: 5,
      failed_at: expect.stringMatching(/Z$/) as string,
      settled_at: null,
    };
    expect(await list()).toEqual({ data: [summary], has_more: false, next_cursor: null });
    expect((await call('GET', `/${id}`)).body).toEqual({
      ...summary,
      headers: { traceparent: '00-1-2-01', authorization: '[redacted]' },
      payload: {
        format: 'json',
        content: { environment_id: home.environmentId, run_id: 'x', note: '[redacted]', token: '[redacted]' },
        complete: true,
      },
    });
  });

  it('lists by page and by filter', async () => {
    const ids: string[] = [];
    for (let count = 0; count < 3; count += 1) ids.push(await setAside());
    const other = await setAside({
      topic: 'campaign.chunk.planned.v1',
      group: 'segmenter.fan-out-chunk',
      reasonCode: 'record_undecodable',
    });
    const first = await list('?limit=3');
    const second = await list(`?limit=3&cursor=${first.next_cursor}`);
    expect([...idsOf(first), ...idsOf(second)].sort()).toEqual([...ids, other].sort());
    for (const filter of ['topic=campaign.chunk.planned.v1', 'group=segmenter.fan-out-chunk', 'reason=record_undecodable'])
      expect(idsOf(await list(`?${filter}`))).toEqual([other]);
    expect(idsOf(await list('?topic=campaign.chunk.planned.v1&reason=content_broken'))).toEqual([]);
    await call('POST', `/${other}/discard`);
    expect(idsOf(await list('?state=discarded'))).toEqual([other]);
    expect(idsOf(await list('?state=waiting'))).toHaveLength(3);
  });

  it.each(['?state=lost', '?limit=0', '?cursor=x', '?topic=', '?reason=%00', '?offset=1', `?group=${'x'.repeat(250)}`])(
    'refuses %.20s',
    async (query) => {
      expect((await call('GET', query)).status).toBe(400);
    },
  );

  it('replays once, however often and from however many sides it is asked', async () => {
    const id = await setAside();
    const answers = await Promise.all(Array.from({ length: 5 }, () => call('POST', `/${id}/replay`)));
    answers.push(await call('POST', `/${id}/replay`));
    for (const answer of answers) expect(answer).toMatchObject({ status: 200, body: { id, state: 'replayed' } });
    expect(await outboxCount()).toBe(1);
    expect(await call('POST', `/${id}/discard`)).toMatchObject({ status: 409, body: { code: 'dead_letter_settled', state: 'replayed' } });
  });

  it('discards for good', async () => {
    const id = await setAside();
    for (let count = 0; count < 2; count += 1)
      expect(await call('POST', `/${id}/discard`)).toMatchObject({ status: 200, body: { state: 'discarded' } });
    expect(await call('POST', `/${id}/replay`)).toMatchObject({ status: 409, body: { code: 'dead_letter_settled', state: 'discarded' } });
    expect(await outboxCount()).toBe(0);
  });

  it('does not replay to a topic that nobody reads any more', async () => {
    const id = await setAside({ topic: 'campaign.run.triggered.v0' });
    expect(await call('POST', `/${id}/replay`)).toMatchObject({ status: 409, body: { code: 'dead_letter_topic_retired' } });
    expect((await call('GET', `/${id}`)).body).toMatchObject({ state: 'waiting' });
  });

  it('answers a foreign, an unknown and a nameless one alike, and touches none', async () => {
    const own = await setAside();
    const nameless = await setAside({ value: Buffer.from('no json') });
    const asked = [
      [own, foreign],
      [nameless, home],
      [encodeId('deadLetter', newUuid()), home],
      ['dlt_x', home],
      [encodeId('run', newUuid()), home],
    ] as const;
    const bodies = new Set<string>();
    for (const [id, as] of asked) {
      for (const [method, path] of [['GET', `/${id}`] as const, ['POST', `/${id}/replay`] as const, ['POST', `/${id}/discard`] as const]) {
        const { status, body } = await call(method, path, as);
        expect([id, status]).toEqual([id, 404]);
        bodies.add(JSON.stringify({ ...body, request_id: '' }));
      }
    }
    expect([...bodies]).toHaveLength(1);
    expect(idsOf(await list('', foreign))).toEqual([]);
    expect(idsOf(await list())).toEqual([own]);
    const states = await test.database.query({ text: 'SELECT DISTINCT state FROM event_log.dead_letter' });
    expect([states, await outboxCount()]).toEqual([[{ state: 'waiting' }], 0]);
  });

  it('asks for the permission of each route', async () => {
    const id = await setAside();
    const reader = { ...home, ...(await keyWith('dead-letters:read')) };
    const writer = { ...home, ...(await keyWith('dead-letters:write')) };
    expect([(await call('GET', '', reader)).status, (await call('GET', `/${id}`, reader)).status]).toEqual([200, 200]);
    expect([(await call('GET', '', writer)).status, (await call('GET', `/${id}`, writer)).status]).toEqual([403, 403]);
    for (const action of ['replay', 'discard']) expect((await call('POST', `/${id}/${action}`, reader)).status).toBe(403);
    expect((await call('GET', '', { ...home, apiKey: 'x' })).status).toBe(401);
    // The key with the scope belongs to another environment: it may ask, and finds nothing.
    expect((await call('POST', `/${id}/discard`, writer)).status).toBe(404);
  });

  async function keyWith(scope: 'dead-letters:read' | 'dead-letters:write'): Promise<{ apiKey: string }> {
    if (scope === 'dead-letters:write') return { apiKey: (await seedEnvironment(test.database, { scopes: [scope] })).apiKey };
    const seeded = await seedEnvironment(test.database, { scopes: [scope] });
    await test.database.execute({
      text: 'UPDATE tenancy.api_key SET environment_id = $1 WHERE environment_id = $2',
      values: [home.environmentId, seeded.environmentId],
    });
    return { apiKey: seeded.apiKey };
  }
});
