import { once } from 'node:events';
import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SubscriberStore } from '../subscriber.store.js';
import { BULK_LINE_BYTES_MAX, BULK_LINES_MAX } from '../subscribers.limits.js';
import { SubscribersApiModule } from '../subscribers.module.js';
import { startTestApi, type TestApi } from '../testing/test-api.js';

let api: TestApi;
let origin: string;

beforeAll(async () => {
  api = await startTestApi(SubscribersApiModule);
  await api.app.listen(0, '127.0.0.1');
  origin = await api.app.getUrl();
});
afterAll(() => api?.close());

interface Result {
  readonly line: number;
  readonly external_id: string | null;
  readonly status: string;
  readonly code?: string;
}

async function bulk(body: string | Buffer, as = api.home): Promise<{ status: number; results: Result[] }> {
  const { status, text } = await api.call({ method: 'POST', url: '/v1/subscribers/bulk', payload: body, type: 'application/x-ndjson', as });
  return { status, results: status === 200 ? parseResults(text) : [] };
}

function parseResults(text: string): Result[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Result);
}

const attributesOf = async (externalId: string) =>
  (await new SubscriberStore(api.test.database).findByExternalId(api.home.environmentId, externalId))?.attributes;

describe('POST /v1/subscribers/bulk', () => {
  it('asks for the key before it asks for the body', async () => {
    const answerTo = (headers: Record<string, string>) => api.app.inject({ method: 'POST', url: '/v1/subscribers/bulk', headers });
    expect((await answerTo({})).statusCode).toBe(401);
    const refused = await answerTo({ authorization: `Bearer ${api.home.apiKey}` });
    expect(refused.json()).toMatchObject({ status: 400, code: 'validation_failed', errors: [{ code: 'missing' }] });
  });

  it('answers each line with what became of it', async () => {
    const lines = [
      '\ufeff{"external_id":"b1","attributes":{"plan":"pro"}}',
      '{"external_id":"b2","unsubscribed":true,"locale":"de","time_zone":"UTC"}',
      '',
      '{"external_id":"b1","attributes":{"seats":2}}',
      'not json',
      '{"external_id":"","attributes":{}}',
      '{"attributes":{}}',
      '{"external_id":"b3","attributes":{"nested":{"a":1}}}',
      '{"external_id":"b4","colour":"red"}',
      '[]',
      '{"external_id":"b5","attributes":{"__proto__":1}}',
      '{"external_id":"b6","attributes":{"text":"\\u0000"}}',
      '{"external_id":"b\\ud800"}',
    ];
    const { status, results } = await bulk(lines.join('\r\n'));
    expect(status).toBe(200);
    expect(results.map(({ line, external_id, status: outcome, code }) => [line, external_id, outcome, code])).toEqual([
      [1, 'b1', 'created', undefined],
      [2, 'b2', 'created', undefined],
      [4, 'b1', 'updated', undefined],
      [5, null, 'rejected', 'json_malformed'],
      [6, '', 'rejected', 'external_id_invalid'],
      [7, null, 'rejected', 'validation_failed'],
      [8, 'b3', 'rejected', 'attribute_value_invalid'],
      [9, 'b4', 'rejected', 'validation_failed'],
      [10, null, 'rejected', 'validation_failed'],
      [11, 'b5', 'rejected', 'json_key_forbidden'],
      [12, 'b6', 'rejected', 'attribute_value_invalid'],
      [13, 'b\ud800', 'rejected', 'external_id_invalid'],
    ]);
    expect(await attributesOf('b1')).toEqual({ plan: 'pro', seats: 2 });
    expect(await attributesOf('b3')).toBeUndefined();
  });

  it('refuses a line that is not UTF-8 or too long, and takes the next one', async () => {
    const body = Buffer.concat([
      Buffer.from('{"external_id":"'),
      Buffer.from([0xff]),
      Buffer.from('"}\n'),
      Buffer.from(`{"external_id":"${'x'.repeat(BULK_LINE_BYTES_MAX)}"}\n{"external_id":"after"}`),
    ]);
    const { results } = await bulk(body);
    expect(results.map(({ status, code }) => code ?? status)).toEqual(['invalid_utf8', 'line_too_long', 'created']);
  });

  it('lets later lines win attribute by attribute, across removals', async () => {
    const { results } = await bulk(
      [
        '{"external_id":"w","attributes":{"a":1,"b":1}}',
        '{"external_id":"w","attributes":{"a":null,"c":3}}',
        '{"external_id":"w","attributes":{"b":2}}',
      ].join('\n'),
    );
    expect(results.map(({ status }) => status)).toEqual(['created', 'updated', 'updated']);
    expect(await attributesOf('w')).toEqual({ b: 2, c: 3 });
  });

  it('writes ten thousand lines, refuses those beyond and says so', { timeout: 60_000 }, async () => {
    const lines = Array.from({ length: BULK_LINES_MAX + 5 }, (_, index) => `{"external_id":"many-${index}","attributes":{"n":${index}}}`);
    const { results } = await bulk(lines.join('\n'));
    expect(results.filter(({ status }) => status === 'created')).toHaveLength(BULK_LINES_MAX);
    expect(results.at(-1)).toMatchObject({ line: BULK_LINES_MAX + 1, status: 'rejected', code: 'bulk_lines_too_many' });
    expect(await attributesOf(`many-${BULK_LINES_MAX}`)).toBeUndefined();
  });

  it('coerces by declared types', async () => {
    await api.call({ method: 'PUT', url: '/v1/attributes/age', payload: { type: 'number' } });
    const { results } = await bulk('{"external_id":"t1","attributes":{"age":"30"}}\n{"external_id":"t2","attributes":{"age":"old"}}');
    expect(results.map(({ status, code }) => code ?? status)).toEqual(['created', 'attribute_type_mismatch']);
    expect(await attributesOf('t1')).toEqual({ age: 30 });
  });

  it('answers a client that sends everything before it reads anything', async () => {
    const body = Array.from({ length: BULK_LINES_MAX }, (_, index) => `{"external_id":"${'long-id-'.repeat(25)}${index}"}`).join('\n');
    const sending = request(`${origin}/v1/subscribers/bulk`, {
      method: 'POST',
      headers: { authorization: `Bearer ${api.home.apiKey}`, 'content-type': 'application/x-ndjson' },
    });
    const answered = once(sending, 'response');
    await new Promise<void>((resolve, reject) => sending.end(body, () => resolve()).on('error', reject));
    const [answer] = (await answered) as [AsyncIterable<Buffer>];
    const parts: Buffer[] = [];
    for await (const part of answer) parts.push(part);
    expect(parseResults(Buffer.concat(parts).toString('utf8'))).toHaveLength(BULK_LINES_MAX);
  });

  it('shows the first results before the request has ended', async () => {
    const sending = request(`${origin}/v1/subscribers/bulk`, {
      method: 'POST',
      headers: { authorization: `Bearer ${api.home.apiKey}`, 'content-type': 'application/x-ndjson' },
    });
    const answered = once(sending, 'response');
    sending.write(Array.from({ length: 1_000 }, (_, index) => `{"external_id":"early-${index}"}\n`).join(''));
    const [answer] = (await answered) as [NodeJS.ReadableStream];
    const [first] = (await once(answer, 'data')) as [Buffer];
    expect(first.toString('utf8')).toContain('"early-0"');
    answer.resume();
    sending.end('{"external_id":"late"}');
    await once(answer, 'end');
    expect(await attributesOf('late')).toEqual({});
  });

  it('takes NDJSON only, and answers an empty body with nothing', async () => {
    expect((await api.call({ method: 'POST', url: '/v1/subscribers/bulk', payload: {} })).status).toBe(415);
    expect(await bulk('\n\n')).toEqual({ status: 200, results: [] });
  });

  it('writes into the environment of its key', async () => {
    expect((await bulk('{"external_id":"b1"}', api.foreign)).results).toMatchObject([{ status: 'created' }]);
    expect(await attributesOf('b1')).toEqual({ plan: 'pro', seats: 2 });
  });
});
