import { createReadStream, existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildDocument, findDocumentFaults } from '#http';
import { AttributeStore, ImportFile, ImportStore, SubscriberStore } from '#subscribers';
import { seedEnvironment } from '#tenancy';
import { WideLogger } from '#telemetry';
import type { Rule } from './rule/rule.js';
import { SegmentStore } from './segment.store.js';
import { SegmentPreviewTimeoutError } from './segments.errors.js';
import { SegmentsApiModule } from './segments.module.js';
import { startTestApi, type TestApi } from './testing/test-api.js';

/** 7,043 customers of a telecom company; not part of the project. */
const TELCO = resolve(import.meta.dirname, '../../../../shared/data/telco-customers.csv');
const MONTHLY: Rule = { attribute: 'Contract', operator: 'equals', value: 'Month-to-month' };

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi(SegmentsApiModule);
});
afterAll(() => api?.close());

const create = (payload: object, as = api.home) => api.call({ method: 'POST', url: '/v1/segments', payload, as });
const preview = (rule: object, as = api.home) => api.call({ method: 'POST', url: '/v1/segments/preview', payload: { rule }, as });

describe('/v1/segments', () => {
  it('creates, reads, lists, replaces and deletes segments', async () => {
    const created = await create({ name: 'Monthly', rule: MONTHLY });
    expect(created).toMatchObject({ status: 201, body: { id: expect.stringMatching(/^seg_/), name: 'Monthly', rule: MONTHLY } });
    const url = `/v1/segments/${String(created.body['id'])}`;
    expect((await api.call({ url })).body).toEqual(created.body);
    const replaced = await api.call({ method: 'PUT', url, payload: { name: 'Everybody', rule: { all: [] } } });
    expect(replaced).toMatchObject({ status: 200, body: { id: created.body['id'], name: 'Everybody', rule: { all: [] } } });
    expect((await api.call({ url: '/v1/segments' })).body['data']).toEqual([replaced.body]);
    expect((await api.call({ method: 'DELETE', url })).status).toBe(204);
    expect(await api.call({ url })).toMatchObject({ status: 404, body: { code: 'segment_not_found' } });
  });

  it('pages newest first', async () => {
    const as = await seedEnvironment(api.test.database);
    const ids: unknown[] = [];
    for (const name of ['one', 'two', 'three']) ids.unshift((await create({ name, rule: { all: [] } }, as)).body['id']);
    const first = await api.call({ url: '/v1/segments?limit=2', as });
    const second = await api.call({ url: `/v1/segments?limit=2&cursor=${String(first.body['next_cursor'])}`, as });
    const listed = [first, second].flatMap(({ body }) => (body['data'] as { id: string }[]).map(({ id }) => id));
    expect(listed.sort()).toEqual([...ids].sort());
    expect(second.body).toMatchObject({ has_more: false, next_cursor: null });
  });

  it('keeps names unique inside of an environment', async () => {
    const rule = { all: [] };
    expect((await create({ name: 'Taken', rule })).status).toBe(201);
    expect(await create({ name: 'Taken', rule })).toMatchObject({ status: 409, body: { code: 'segment_name_taken' } });
    expect((await create({ name: 'Taken', rule }, api.foreign)).status).toBe(201);
    const other = await create({ name: 'Other', rule });
    const renamed = await api.call({ method: 'PUT', url: `/v1/segments/${String(other.body['id'])}`, payload: { name: 'Taken', rule } });
    expect(renamed).toMatchObject({ status: 409, body: { code: 'segment_name_taken' } });
  });

  it('names the place of a fault in a rule', async () => {
    expect(await create({ name: 'Broken', rule: { all: [{ attribute: 'plan', operator: 'matches', value: '.*' }] } })).toMatchObject({
      status: 400,
      body: { code: 'validation_failed', errors: [{ pointer: '/rule/all/0/operator' }] },
    });
    expect((await create({ name: 'x', rule: MONTHLY, owner: 'me' })).status).toBe(400);
  });

  it('knows nothing of the segments of other environments', async () => {
    const { body } = await create({ name: 'Private', rule: MONTHLY });
    const url = `/v1/segments/${String(body['id'])}`;
    for (const call of [
      { url },
      { url, method: 'DELETE' as const },
      { url, method: 'PUT' as const, payload: { name: 'Mine', rule: { all: [] } } },
    ]) {
      expect(await api.call({ ...call, as: api.foreign })).toMatchObject({ status: 404, body: { code: 'segment_not_found' } });
    }
    expect((await api.call({ url })).status).toBe(200);
    const store = new SegmentStore(api.test.database);
    const [segment] = await store.list(api.home.environmentId, { limit: 1 });
    expect(await store.find(api.foreign.environmentId, segment?.id ?? '')).toBeUndefined();
  });
});

describe('POST /v1/segments/preview', () => {
  it.each([
    { operator: 'in_last', value: { amount: 36_500, unit: 'days' } },
    { operator: 'in_next', value: { amount: 876_000, unit: 'hours' } },
    { operator: 'before', value: '0001-01-01' },
    { operator: 'after', value: '0001-01-01T00:00:00Z' },
    { operator: 'on', value: '9999-12-31' },
    { operator: 'after', value: '9999-12-31T23:59:59.999999-14:00' },
  ])('reaches the ends of time that a rule may name: %o', async (test) => {
    for (const subject of [{ field: 'created_at' }, { attribute: 'trial_ends' }])
      expect(await preview({ ...subject, ...test })).toMatchObject({ status: 200 });
  });

  it('counts and shows some, and stores nothing', async () => {
    const as = await seedEnvironment(api.test.database);
    const subscribers = new SubscriberStore(api.test.database);
    const patches = Array.from({ length: 8 }, (_, index) => ({ externalId: `p${index}`, attributes: { seats: index } }));
    await subscribers.upsertMany(as.environmentId, patches);
    const { status, body } = await preview({ attribute: 'seats', operator: 'greater_or_equal', value: 2 }, as);
    expect({ status, count: body['count'] }).toEqual({ status: 200, count: 6 });
    expect(body['samples']).toHaveLength(5);
    expect(body['samples']).toContainEqual({ id: expect.stringMatching(/^sub_/), external_id: 'p2', attributes: { seats: 2 } });
    expect((await preview({ attribute: 'seats', operator: 'equals', value: '2' }, as)).body).toEqual({ count: 0, samples: [] });
    expect((await preview({ all: [] }, api.foreign)).body).toEqual({ count: 0, samples: [] });
    expect((await api.call({ url: '/v1/segments', as })).body['data']).toEqual([]);
  });

  it('gives up clearly when counting takes too long', async () => {
    const blocked = new SegmentStore(api.test.database);
    await api.test.database.transaction(async (tx) => {
      await tx.execute({ text: 'LOCK TABLE subscribers.subscriber IN ACCESS EXCLUSIVE MODE' });
      const waiting = blocked.preview(api.home.environmentId, { all: [] }, { now: new Date(), timeoutMs: 50 });
      await expect(waiting).rejects.toBeInstanceOf(SegmentPreviewTimeoutError);
    });
  });
});

describe.skipIf(!existsSync(TELCO))(`the telco customers (skipped without ${TELCO})`, () => {
  it('are counted as independent SQL counts them', { timeout: 60_000 }, async () => {
    const as = await seedEnvironment(api.test.database);
    const { database } = api.test;
    const importFile = new ImportFile(
      database,
      new AttributeStore(database),
      new SubscriberStore(database),
      new ImportStore(database),
      api.app.get(WideLogger),
    );
    const options = { idColumn: 'customerID', map: [], delimiter: ',', types: 'inferred', blank: 'remove' } as const;
    await importFile.run(as.environmentId, { open: () => createReadStream(TELCO) }, { options });
    const countInSql = async (condition: string) => {
      const text = `SELECT count(*)::integer AS count FROM subscribers.subscriber WHERE environment_id = $1 AND ${condition}`;
      const [row] = await database.query<{ count: number }>({ text, values: [as.environmentId] });
      return row?.count;
    };
    const countByRule = async (rule: Rule) => (await preview(rule, as)).body['count'];
    const expensive: Rule = { attribute: 'MonthlyCharges', operator: 'greater_than', value: 70 };
    expect(await countByRule(MONTHLY)).toBe(3_875);
    const both = await countInSql(`attributes ->> 'Contract' = 'Month-to-month' AND (attributes ->> 'MonthlyCharges')::numeric > 70`);
    expect(both).toBeGreaterThan(0);
    expect(await countByRule({ all: [MONTHLY, expensive] })).toBe(both);
    expect(await countByRule({ any: [MONTHLY, expensive] })).toBe(
      await countInSql(`(attributes ->> 'Contract' = 'Month-to-month' OR (attributes ->> 'MonthlyCharges')::numeric > 70)`),
    );
    expect(await countByRule({ attribute: 'TotalCharges', operator: 'not_exists' })).toBe(11);
    expect(await countByRule({ not: { attribute: 'TotalCharges', operator: 'greater_than', value: 0 } })).toBe(11);
  });
});

describe('the OpenAPI document', () => {
  it('has no faults and describes rules', () => {
    const document = buildDocument(api.app, { title: 't', description: 'd', version: '1' });
    expect(findDocumentFaults(document)).toEqual([]);
    expect(document.components?.schemas?.['SegmentRule']).toMatchObject({ oneOf: expect.any(Array) });
    expect(document.components?.schemas?.['SegmentFields']).toMatchObject({
      properties: { rule: { $ref: '#/components/schemas/SegmentRule' } },
    });
  });
});
