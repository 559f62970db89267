import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildDocument, findDocumentFaults } from '#http';
import { seedEnvironment } from '#tenancy';
import { SubscriberStore } from './subscriber.store.js';
import { ATTRIBUTES_MAX, EXTERNAL_ID_BYTES_MAX } from './subscribers.limits.js';
import { SubscribersApiModule } from './subscribers.module.js';
import { startTestApi, type TestApi } from './testing/test-api.js';

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi(SubscribersApiModule);
});
afterAll(() => api?.close());

const urlOf = (externalId: string): string => `/v1/subscribers/${encodeURIComponent(externalId)}`;

describe('PUT /v1/subscribers/{external_id}', () => {
  it('answers 201 for a new subscriber and 200 for a change', async () => {
    const created = await api.call({
      method: 'PUT',
      url: urlOf('anna'),
      payload: { attributes: { plan: 'pro' }, locale: 'de-at', time_zone: 'Europe/Vienna' },
    });
    expect(created).toMatchObject({
      status: 201,
      body: { external_id: 'anna', attributes: { plan: 'pro' }, locale: 'de-AT', time_zone: 'Europe/Vienna', unsubscribed: false },
    });
    expect(created.body['id']).toMatch(/^sub_/);
    const changed = await api.call({ method: 'PUT', url: urlOf('anna'), payload: { attributes: { seats: 3 } } });
    expect(changed).toMatchObject({
      status: 200,
      body: { id: created.body['id'], attributes: { plan: 'pro', seats: 3 }, locale: 'de-AT' },
    });
  });

  it('merges attributes by name, replaces lists as a whole and removes what is null', async () => {
    const put = (payload: object) => api.call({ method: 'PUT', url: urlOf('merge'), payload });
    await put({ attributes: { a: 1, b: 'x', tags: ['one', 'two'] }, locale: 'en', time_zone: 'UTC' });
    const { body } = await put({ attributes: { a: null, missing: null, tags: ['three'] }, locale: null });
    expect(body).toMatchObject({ attributes: { b: 'x', tags: ['three'] }, locale: null, time_zone: 'UTC' });
    expect(body['attributes']).not.toHaveProperty('a');
    expect(body['attributes']).not.toHaveProperty('missing');
  });

  it('keeps the moment of the first unsubscribing, and forgets it on resubscribing', async () => {
    const put = (unsubscribed: boolean) => api.call({ method: 'PUT', url: urlOf('leaver'), payload: { unsubscribed } });
    const first = await put(true);
    expect(first.body).toMatchObject({ unsubscribed: true, unsubscribed_at: expect.stringMatching(/Z$/) });
    expect((await put(true)).body['unsubscribed_at']).toBe(first.body['unsubscribed_at']);
    expect((await put(false)).body).toMatchObject({ unsubscribed: false, unsubscribed_at: null });
  });

  it.each([
    ['a slash', 'team/42'],
    ['percent signs', '100%25%2F'],
    ['a plus', 'a+b@example.com'],
    ['blanks around it', '  padded '],
    ['question mark and hash', 'what?#'],
    ['unicode', 'Zoë 名前 \u{1f600}'],
    ['a decomposed letter', 'e\u0301'],
    ['dots', '...'],
    ['the longest id', 'x'.repeat(EXTERNAL_ID_BYTES_MAX)],
    ['the longest id of three-byte letters', '名'.repeat(85)],
  ])('takes an external id with %s exactly as it is', async (_name, externalId) => {
    expect(await api.call({ method: 'PUT', url: urlOf(externalId), payload: {} })).toMatchObject({
      status: 201,
      body: { external_id: externalId },
    });
    expect(await api.call({ url: urlOf(externalId) })).toMatchObject({ status: 200, body: { external_id: externalId } });
    expect(await new SubscriberStore(api.test.database).findByExternalId(api.home.environmentId, externalId)).toMatchObject({ externalId });
    expect(await api.call({ method: 'DELETE', url: urlOf(externalId) })).toMatchObject({ status: 204 });
    expect(await api.call({ url: urlOf(externalId) })).toMatchObject({ status: 404, body: { code: 'subscriber_not_found' } });
  });

  it('tells ids apart that look alike: case, normal form, blanks', async () => {
    for (const externalId of ['Same', 'same', 'same ', '\u00e9', 'e\u0301']) {
      expect((await api.call({ method: 'PUT', url: urlOf(externalId), payload: {} })).status).toBe(201);
    }
  });

  it.each([
    ['too long', '/v1/subscribers/' + 'x'.repeat(EXTERNAL_ID_BYTES_MAX + 1), 422],
    ['with a line feed', '/v1/subscribers/a%0Ab', 422],
    ['with a C1 control', '/v1/subscribers/a%C2%85b', 422],
    ['not UTF-8', '/v1/subscribers/%FF', 400],
    ['a lone surrogate', '/v1/subscribers/%ED%A0%80', 400],
    ['with a NUL', '/v1/subscribers/a%00', 400],
  ])('refuses an external id that is %s', async (_name, url, status) => {
    expect((await api.call({ method: 'PUT', url, payload: {} })).status).toBe(status);
    expect((await api.call({ url })).status).toBeGreaterThanOrEqual(400);
  });

  it.each([
    ['an object', { attributes: { address: { city: 'Wien' } } }, 400],
    ['a list of objects', { attributes: { orders: [{}] } }, 400],
    ['a list of numbers', { attributes: { orders: [1] } }, 400],
    ['an empty name', { attributes: { '': 1 } }, 422],
    ['a long name', { attributes: { ['n'.repeat(101)]: 1 } }, 422],
    ['a control in a name', { attributes: { 'a\u0007': 1 } }, 422],
    ['a long text', { attributes: { note: 'x'.repeat(4_097) } }, 422],
    [
      'too many attributes',
      { attributes: Object.fromEntries(Array.from({ length: ATTRIBUTES_MAX + 1 }, (_, index) => [`a${index}`, 1])) },
      422,
    ],
    ['an unknown field', { atributes: {} }, 400],
    ['no locale', { locale: 'not a locale' }, 422],
    ['no time zone', { time_zone: 'Europe/Atlantis' }, 422],
    ['an offset as time zone', { time_zone: '+02:00' }, 422],
    ['a text as unsubscribed', { unsubscribed: 'yes' }, 400],
    ['a prototype key', '{"attributes":{"__proto__":1}}', 400],
  ])('refuses %s and names the place', async (_name, payload, status) => {
    const answer = await api.call({ method: 'PUT', url: urlOf('strict'), payload, type: 'application/json' });
    expect(answer).toMatchObject({ status, body: { code: expect.any(String) } });
    expect((await api.call({ url: urlOf('strict') })).status).toBe(404);
  });

  it('refuses to grow a subscriber beyond the limit by many small changes', async () => {
    const attributesFrom = (first: number) =>
      Object.fromEntries(Array.from({ length: ATTRIBUTES_MAX / 2 }, (_, index) => [`a${first + index}`, index]));
    const put = (attributes: object) => api.call({ method: 'PUT', url: urlOf('hoarder'), payload: { attributes } });
    expect((await put(attributesFrom(0))).status).toBe(201);
    expect((await put(attributesFrom(ATTRIBUTES_MAX / 2))).status).toBe(200);
    expect(await put({ one: 'more' })).toMatchObject({ status: 422, body: { code: 'attributes_too_many' } });
    expect((await put({ a0: null, one: 'more' })).status).toBe(200);
  });

  it('loses no change when many write the same subscriber at once', async () => {
    const names = Array.from({ length: 40 }, (_, index) => `n${index}`);
    const answers = await Promise.all(
      names.map((name) => api.call({ method: 'PUT', url: urlOf('busy'), payload: { attributes: { [name]: 1 } } })),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    const { body } = await api.call({ url: urlOf('busy') });
    expect(Object.keys(body['attributes'] as object)).toHaveLength(names.length);
  });
});

describe('declared attributes', () => {
  const declare = (name: string, type: string) =>
    api.call({ method: 'PUT', url: `/v1/attributes/${encodeURIComponent(name)}`, payload: { type } });

  it('are listed, read and changed', async () => {
    expect(await declare('seats/max', 'number')).toMatchObject({ status: 201, body: { name: 'seats/max', type: 'number' } });
    expect(await declare('seats/max', 'string')).toMatchObject({ status: 200, body: { type: 'string' } });
    expect(await api.call({ url: '/v1/attributes/seats%2Fmax' })).toMatchObject({ status: 200, body: { type: 'string' } });
    expect((await api.call({ url: '/v1/attributes' })).body['data']).toContainEqual(expect.objectContaining({ name: 'seats/max' }));
    expect(await api.call({ url: '/v1/attributes/unknown' })).toMatchObject({ status: 404, body: { code: 'attribute_not_declared' } });
    expect((await declare('odd', 'money')).status).toBe(400);
  });

  it('coerce what loses nothing and refuse the rest', async () => {
    for (const [name, type] of [
      ['d_text', 'string'],
      ['d_number', 'number'],
      ['d_flag', 'boolean'],
      ['d_date', 'date'],
      ['d_list', 'list'],
    ])
      await declare(name ?? '', type ?? '');
    const put = (attributes: object) => api.call({ method: 'PUT', url: urlOf('typed'), payload: { attributes } });
    const coerced = await put({ d_text: 30, d_number: '30.50', d_flag: 'Yes', d_date: '2026-05-31 10:00:00+02:00', d_list: ['a'] });
    expect(coerced.body['attributes']).toEqual({
      d_text: '30',
      d_number: 30.5,
      d_flag: true,
      d_date: '2026-05-31T08:00:00.000Z',
      d_list: ['a'],
    });
    for (const attributes of [
      { d_number: 'many' },
      { d_flag: 'maybe' },
      { d_date: '31.05.2026' },
      { d_date: '2026-02-30' },
      { d_list: 'a' },
      { d_text: ['a'] },
    ]) {
      const [name] = Object.keys(attributes);
      expect(await put(attributes)).toMatchObject({
        status: 422,
        body: { errors: [{ pointer: `/attributes/${name}`, code: 'attribute_type_mismatch' }] },
      });
    }
  });

  it('leave undeclared attributes the JSON type they came with', async () => {
    const attributes = { number: 30, text: '30', flag: false, list: [], date: '2026-05-31T10:00:00+02:00' };
    expect((await api.call({ method: 'PUT', url: urlOf('untyped'), payload: { attributes } })).body['attributes']).toEqual(attributes);
  });
});

describe('GET /v1/subscribers', () => {
  it('pages through each of them once', async () => {
    const environment = await seedEnvironment(api.test.database);
    const store = new SubscriberStore(api.test.database);
    const externalIds = Array.from({ length: 25 }, (_, index) => `page-${String(index).padStart(2, '0')}`);
    await store.upsertMany(
      environment.environmentId,
      externalIds.map((externalId) => ({ externalId })),
    );
    const seen: unknown[] = [];
    let cursor = '';
    for (let page = 1; page <= 3; page += 1) {
      const { body } = await api.call({ url: `/v1/subscribers?limit=10${cursor === '' ? '' : `&cursor=${cursor}`}`, as: environment });
      seen.push(...(body['data'] as { external_id: string }[]).map((subscriber) => subscriber.external_id));
      expect(body['has_more']).toBe(page < 3);
      cursor = String(body['next_cursor']);
    }
    // Ids of one millisecond have no order among each other.
    expect(seen.sort()).toEqual(externalIds);
    expect(await api.call({ url: '/v1/subscribers?cursor=x', as: environment })).toMatchObject({
      status: 400,
      body: { code: 'cursor_invalid' },
    });
  });
});

describe('environments', () => {
  it('see the subscribers and declarations of others as unknown', async () => {
    await api.call({ method: 'PUT', url: urlOf('mine'), payload: { attributes: { secret: 'yes' } } });
    await api.call({ method: 'PUT', url: '/v1/attributes/mine', payload: { type: 'number' } });
    const unknown = await api.call({ url: urlOf('nobody'), as: api.foreign });
    const others = await api.call({ url: urlOf('mine'), as: api.foreign });
    expect({ ...others.body, request_id: '' }).toEqual({ ...unknown.body, request_id: '' });
    expect((await api.call({ method: 'DELETE', url: urlOf('mine'), as: api.foreign })).status).toBe(404);
    expect((await api.call({ url: '/v1/attributes/mine', as: api.foreign })).status).toBe(404);
    expect((await api.call({ url: '/v1/subscribers', as: api.foreign })).body['data']).toEqual([]);
    expect(await api.call({ method: 'PUT', url: urlOf('mine'), payload: { attributes: { mine: 'text' } }, as: api.foreign })).toMatchObject(
      { status: 201, body: { attributes: { mine: 'text' } } },
    );
    expect((await api.call({ url: urlOf('mine') })).body['attributes']).toEqual({ secret: 'yes' });
  });
});

describe('SubscriberStore', () => {
  it('gives the same id to all who ensure a subscriber at once', async () => {
    const store = new SubscriberStore(api.test.database);
    const ids = await Promise.all(Array.from({ length: 20 }, () => store.ensureSubscriber(api.home.environmentId, 'ensured')));
    expect(new Set(ids).size).toBe(1);
    expect(await store.findByExternalId(api.home.environmentId, 'ensured')).toMatchObject({ id: ids[0], attributes: {} });
    await expect(store.ensureSubscriber(api.home.environmentId, '')).rejects.toMatchObject({ facts: { code: 'external_id_invalid' } });
  });

  it('reads the profiles of its own environment only', async () => {
    const store = new SubscriberStore(api.test.database);
    const id = await store.ensureSubscriber(api.home.environmentId, 'profiled');
    expect((await store.readProfiles(api.home.environmentId, [id])).get(id)).toMatchObject({ externalId: 'profiled' });
    expect((await store.readProfiles(api.foreign.environmentId, [id])).size).toBe(0);
  });

  it('writes overlapping batches at once without deadlock', async () => {
    const store = new SubscriberStore(api.test.database);
    const patches = Array.from({ length: 300 }, (_, index) => ({ externalId: `overlap-${index}`, attributes: { index } }));
    const batches = Array.from({ length: 8 }, (_, index) => (index % 2 === 0 ? patches : [...patches].reverse()));
    const statuses = await Promise.all(batches.map((batch) => store.upsertMany(api.home.environmentId, batch)));
    const created = statuses.flatMap((status) => [...status.values()]).filter((status) => status === 'created');
    expect(created).toHaveLength(patches.length);
  });
});

describe('the OpenAPI document', () => {
  it('has no faults', () => {
    expect(findDocumentFaults(buildDocument(api.app, { title: 't', description: 'd', version: '1' }))).toEqual([]);
  });
});
