import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeId, encodeId, newUuid, SystemClock } from '#contracts';
import { buildDocument, findDocumentFaults } from '#http';
import { waitFor } from '#testing';
import { RunProgressHub } from './stream-run/run-progress-hub.js';
import { Pipeline } from './testing/pipeline.js';
import { TestApi, type Answer } from './testing/test-api.js';

const CAMPAIGN = { title: 'Hello {{ subscriber.name }}', body: 'Your plan ends.', url: '/plan', audience: { all: true } };

let api: TestApi;
/** The consumers' part: the test carries on what the API started. */
let pipeline: Pipeline;

beforeAll(async () => {
  api = await TestApi.start();
  pipeline = new Pipeline(api.test.database, new SystemClock(), api.home.environmentId);
  await pipeline.standIn.prepare();
  await pipeline.standIn.seedSubscribers(api.home.environmentId, 20);
});
afterAll(() => api?.close());

const create = (fields: object = {}): Promise<Answer> =>
  api.call({ method: 'POST', url: '/v1/campaigns', payload: { ...CAMPAIGN, ...fields } });
const idOf = (answer: Answer): string => String(answer.body['id']);
const post = (url: string, payload?: object, headers?: Record<string, string>): Promise<Answer> =>
  api.call({ method: 'POST', url, payload, headers });

async function trigger(): Promise<string> {
  return idOf(await post(`/v1/campaigns/${idOf(await create())}/trigger`));
}

/** Plans a run as the segmenter would, and carries it to its end. */
async function finish(runId: string): Promise<void> {
  await pipeline.planRun.plan({ environmentId: api.home.environmentId, runId: decodeId('run', runId) ?? '' });
  await pipeline.drain();
}

describe('POST /v1/campaigns', () => {
  it('answers the campaign, which can be read back and is listed first', async () => {
    const created = await create({ name: 'Renewals', ttl_seconds: 60 });
    expect(created).toMatchObject({
      status: 201,
      body: { ...CAMPAIGN, name: 'Renewals', channels: ['inbox'], personalised: true, ttl_seconds: 60 },
    });
    expect(idOf(created)).toMatch(/^cmp_/);
    expect((await api.call({ url: `/v1/campaigns/${idOf(created)}` })).body).toEqual(created.body);
    const second = await create({ title: 'Plain' });
    expect(second.body).toMatchObject({ name: 'Plain', personalised: false, ttl_seconds: 28 * 86_400 });
    const page = await api.call({ url: '/v1/campaigns?limit=1' });
    expect(page.body).toMatchObject({ data: [second.body], has_more: true });
    const next = await api.call({ url: `/v1/campaigns?limit=1&cursor=${String(page.body['next_cursor'])}` });
    expect(next.body['data']).toEqual([created.body]);
  });

  it('names the field, the line and the reason of a broken template', async () => {
    expect(await create({ body: 'fine\n{% for x in y %}{% endfor %}' })).toMatchObject({
      status: 422,
      body: {
        code: 'content_template_invalid',
        hint: expect.stringContaining('{{ subscriber.name }}') as string,
        errors: [{ pointer: '/body', message: expect.stringContaining('line 2, column 1') as string }],
      },
    });
  });

  it('refuses what does not fit, naming the place', async () => {
    const cases = [
      [{ colour: 'red' }, '/colour'],
      [{ channels: ['fax'] }, '/channels/0'],
      [{ channels: ['inbox', 'inbox'] }, '/channels'],
      [{ audience: {} }, '/audience'],
      [{ audience: { all: true, segment_id: 'seg_x' } }, '/audience'],
      [{ audience: { rule: { attribute: 'a', operator: 'resembles', value: 1 } } }, '/audience/rule/operator'],
      [{ url: 'javascript:alert(1)' }, '/url'],
      [{ ttl_seconds: 0 }, '/ttl_seconds'],
      [{ ttl_seconds: 1e9 }, '/ttl_seconds'],
      [{ title: undefined }, '/title'],
    ] as const;
    for (const [fields, pointer] of cases) {
      expect({ fields, ...(await create(fields)) }).toMatchObject({
        fields,
        status: 400,
        body: { code: 'validation_failed', errors: expect.arrayContaining([expect.objectContaining({ pointer })]) as unknown },
      });
    }
  });

  it('refuses a segment that does not exist here', async () => {
    for (const segmentId of [encodeId('segment', newUuid()), 'nonsense']) {
      expect(await create({ audience: { segment_id: segmentId } })).toMatchObject({
        status: 422,
        body: { code: 'audience_segment_not_found', errors: [{ pointer: '/audience/segment_id' }] },
      });
    }
  });

  it('gives one campaign for repeats of a key', async () => {
    const headers = { 'idempotency-key': 'campaign-1' };
    const answers = await Promise.all(Array.from({ length: 5 }, () => post('/v1/campaigns', CAMPAIGN, headers)));
    expect(new Set(answers.map(idOf)).size).toBe(1);
    expect(await post('/v1/campaigns', { ...CAMPAIGN, title: 'Other' }, headers)).toMatchObject({
      status: 422,
      body: { code: 'idempotency_key_reused' },
    });
  });
});

describe('POST /v1/campaigns/{campaign_id}/preview', () => {
  it('shows the message as one subscriber would get it', async () => {
    const url = `/v1/campaigns/${idOf(await create())}/preview`;
    expect(await post(url, { subscriber_id: 'sub-3' })).toEqual({
      status: 200,
      body: { title: 'Hello Person 3', body: 'Your plan ends.', url: '/plan' },
    });
    expect(await post(url, { subscriber_id: 'nobody' })).toMatchObject({ status: 404, body: { code: 'subscriber_not_found' } });
  });

  it('says what is missing when it cannot be rendered', async () => {
    const url = `/v1/campaigns/${idOf(await create({ title: '{{ subscriber.nickname }}' }))}/preview`;
    expect(await post(url, { subscriber_id: 'sub-3' })).toMatchObject({
      status: 422,
      body: { code: 'content_render_failed', errors: [{ pointer: '/title' }] },
    });
  });
});

describe('POST /v1/campaigns/{campaign_id}/trigger', () => {
  it('accepts a run, without a body, with an empty one and with another audience', async () => {
    const url = `/v1/campaigns/${idOf(await create())}/trigger`;
    for (const payload of [undefined, {}, { audience: { rule: { attribute: 'no', operator: 'equals', value: 1 } } }]) {
      expect(await post(url, payload)).toMatchObject({
        status: 202,
        body: { id: expect.stringMatching(/^run_/) as string, state: 'triggered' },
      });
    }
    expect((await api.call({ url: url.replace('/trigger', '/runs') })).body['data']).toHaveLength(3);
  });

  it('gives the same answer to fifty calls with one key, and refuses another body', async () => {
    const url = `/v1/campaigns/${idOf(await create())}/trigger`;
    const headers = { 'idempotency-key': 'trigger-1' };
    const answers = await Promise.all(Array.from({ length: 50 }, () => post(url, {}, headers)));
    expect(answers.every((answer) => answer.status === 202)).toBe(true);
    expect(new Set(answers.map((answer) => JSON.stringify(answer.body))).size).toBe(1);
    expect(await post(url, { ttl_seconds: 5 }, headers)).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } });
  });
});

describe('runs', () => {
  it('are read with exact counts', async () => {
    const runId = await trigger();
    await finish(runId);
    expect(await api.call({ url: `/v1/runs/${runId}` })).toMatchObject({
      status: 200,
      body: {
        id: runId,
        state: 'finished',
        progress: 1,
        eta_seconds: 0,
        counts: { targeted: 20, delivered: 18, skipped: 2, skipped_by_reason: { unsubscribed: 2 }, pending: 0 },
      },
    });
  });

  it('are paused, resumed and cancelled, each idempotent, and refuse what their state does not allow', async () => {
    const runId = await trigger();
    for (const [action, state] of [
      ['pause', 'paused'],
      ['pause', 'paused'],
      ['resume', 'triggered'],
      ['resume', 'triggered'],
      ['cancel', 'cancelled'],
      ['cancel', 'cancelled'],
    ]) {
      expect(await post(`/v1/runs/${runId}/${action}`)).toMatchObject({ status: 200, body: { id: runId, state } });
    }
    for (const action of ['pause', 'resume']) {
      expect(await post(`/v1/runs/${runId}/${action}`)).toMatchObject({
        status: 409,
        body: { code: 'run_state_conflict', state: 'cancelled' },
      });
    }
  });

  it('answer unknown, foreign and malformed ids alike', async () => {
    const campaignId = idOf(await create());
    const runId = idOf(await post(`/v1/campaigns/${campaignId}/trigger`));
    const bodies = new Set<string>();
    for (const id of [runId, encodeId('run', newUuid()), campaignId, 'run_x']) {
      for (const [method, path] of [
        ['GET', ''],
        ['GET', '/stream'],
        ['POST', '/pause'],
        ['POST', '/resume'],
        ['POST', '/cancel'],
      ] as const) {
        const { status, body } = await api.call({ method, url: `/v1/runs/${id}${path}`, as: api.foreign });
        expect(status, `${method} ${id}${path}`).toBe(404);
        bodies.add(JSON.stringify({ code: body['code'], title: body['title'], detail: body['detail'], hint: body['hint'] }));
      }
    }
    expect(bodies.size).toBe(1);
    for (const id of [campaignId, encodeId('campaign', newUuid()), 'x']) {
      for (const [method, path, payload] of [
        ['GET', '', undefined],
        ['GET', '/runs', undefined],
        ['POST', '/trigger', {}],
        ['POST', '/preview', { subscriber_id: 'sub-1' }],
      ] as const) {
        const answer = await api.call({ method, url: `/v1/campaigns/${id}${path}`, as: api.foreign, payload });
        expect(answer, `${method} ${id}${path}`).toMatchObject({ status: 404, body: { code: 'campaign_not_found' } });
      }
    }
  });
});

describe('GET /v1/runs/{run_id}/stream', () => {
  it('sends a snapshot at once, then each change, and ends with the run', async () => {
    const runId = await trigger();
    const states: string[] = [];
    for await (const { event, id, data } of api.stream(`/v1/runs/${runId}/stream`)) {
      expect(event).toBe('run');
      states.push(String(data['state']));
      if (states.length === 1) await finish(runId);
      expect(id).toBe(data['state'] === 'finished' ? 'end' : undefined);
    }
    expect(states[0]).toBe('triggered');
    expect(states.at(-1)).toBe('finished');
    const again = await api.call({ url: `/v1/runs/${runId}/stream`, headers: { 'last-event-id': 'end' } });
    expect(again.status).toBe(204);
  });

  it('polls each run once for all its streams, and not at all without one', async () => {
    const hub = api.app.get(RunProgressHub);
    const runId = await trigger();
    const streams = [api.stream(`/v1/runs/${runId}/stream`), api.stream(`/v1/runs/${runId}/stream`)];
    for (const stream of streams) expect((await stream.next()).value).toMatchObject({ data: { state: 'triggered' } });
    expect(hub.pollerCount).toBe(1);
    await post(`/v1/runs/${runId}/cancel`);
    for (const stream of streams) {
      expect((await stream.next()).value).toMatchObject({ data: { state: 'cancelled' } });
      expect((await stream.next()).done).toBe(true);
    }
    expect(hub.pollerCount).toBe(0);
    const left = api.stream(`/v1/runs/${await trigger()}/stream`);
    await left.next();
    expect(hub.pollerCount).toBe(1);
    await left.return(undefined);
    await waitFor(() => hub.pollerCount === 0);
  });
});

describe('POST /v1/messages', () => {
  it('accepts a message for one subscriber, once per key', async () => {
    const headers = { 'idempotency-key': 'message-1' };
    const payload = { subscriber_id: 'sub-1', title: 'Your code' };
    const first = await post('/v1/messages', payload, headers);
    expect(first).toMatchObject({ status: 202, body: { id: expect.stringMatching(/^msg_/) as string } });
    expect((await post('/v1/messages', payload, headers)).body).toEqual(first.body);
    expect(await post('/v1/messages', { ...payload, subscriber_id: 'nobody' })).toMatchObject({
      status: 404,
      body: { code: 'subscriber_not_found' },
    });
    expect(await api.call({ method: 'POST', url: '/v1/messages', payload, as: api.foreign })).toMatchObject({ status: 404 });
  });
});

it('documents every route with its permission and failures', () => {
  expect(findDocumentFaults(buildDocument(api.app, { title: 't', description: 'd', version: '1' }))).toEqual([]);
});
