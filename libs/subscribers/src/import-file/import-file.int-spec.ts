import { createReadStream, existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { seedEnvironment, type SeededEnvironment } from '#tenancy';
import { ImportStore } from '../import.store.js';
import { SubscriberStore } from '../subscriber.store.js';
import { ATTRIBUTES_MAX, IMPORT_RECORD_BYTES_MAX, IMPORT_REJECTIONS_MAX } from '../subscribers.limits.js';
import { SubscribersApiModule } from '../subscribers.module.js';
import { startTestApi, type TestApi } from '../testing/test-api.js';
import { ImportFile } from './import-file.js';
import type { ImportOptions } from './import-options.js';

/** 7,043 customers of a telecom company; not part of the project. */
const TELCO = resolve(import.meta.dirname, '../../../../../shared/data/telco-customers.csv');
const OPTIONS: ImportOptions = { idColumn: 'customerID', map: [], delimiter: ',', types: 'inferred', blank: 'remove' };

let api: TestApi;
let store: SubscriberStore;
let environment: SeededEnvironment;

beforeAll(async () => {
  api = await startTestApi(SubscribersApiModule);
  store = new SubscriberStore(api.test.database);
  environment = await seedEnvironment(api.test.database);
});
afterAll(() => api?.close());

async function importCsv(body: string | Buffer, query = 'id_column=id') {
  const { status, body: answer } = await api.call({
    method: 'POST',
    url: `/v1/imports?${query}`,
    payload: body,
    type: 'text/csv',
    as: environment,
  });
  return {
    status,
    ...(answer as {
      id: string;
      state: string;
      lines: number;
      created: number;
      updated: number;
      rejected: number;
      code?: string;
      detail?: string;
    }),
  };
}

const rejectionsOf = async (importId: string) => {
  const { body } = await api.call({ url: `/v1/imports/${importId}/rejections?limit=100`, as: environment });
  return (body['data'] as { line: number; code: string; reason: string }[]).map(({ line, code }) => [line, code]);
};
const find = (externalId: string) => store.findByExternalId(environment.environmentId, externalId);
const countSubscribers = async (environmentId: string, condition: string) => {
  const [row] = await api.test.database.query<{ count: number }>({
    text: `SELECT count(*)::integer AS count FROM subscribers.subscriber WHERE environment_id = $1 AND (${condition})`,
    values: [environmentId],
  });
  return row?.count;
};

describe.skipIf(!existsSync(TELCO))(`the telco customers (skipped without ${TELCO})`, () => {
  it('import whole, with the types of their columns and blank charges absent', { timeout: 60_000 }, async () => {
    const { environmentId } = await seedEnvironment(api.test.database);
    const importFile = api.app.get(ImportFile);
    const ended = await importFile.run(environmentId, { open: () => createReadStream(TELCO) }, { options: OPTIONS });
    expect(ended).toMatchObject({ state: 'finished', lines: 7_043, created: 7_043, updated: 0, rejected: 0 });
    expect(ended.columns.filter(({ type }) => type === 'number').map(({ target }) => target)).toEqual([
      'SeniorCitizen',
      'Tenure',
      'MonthlyCharges',
      'TotalCharges',
    ]);
    expect(await store.findByExternalId(environmentId, '7590-VHVEG')).toMatchObject({
      attributes: {
        gender: 'Female',
        SeniorCitizen: 0,
        Partner: 'Yes',
        Tenure: 1,
        MonthlyCharges: 29.85,
        TotalCharges: 29.85,
        Contract: 'Month-to-month',
      },
    });
    expect(await countSubscribers(environmentId, `NOT attributes ? 'TotalCharges'`)).toBe(11);
    expect(await countSubscribers(environmentId, `attributes -> 'TotalCharges' IN ('0', '""', 'null')`)).toBe(0);
    expect(await countSubscribers(environmentId, `attributes ->> 'Contract' = 'Month-to-month'`)).toBe(3_875);
    expect(await countSubscribers(environmentId, `attributes ? 'customerID'`)).toBe(0);
    const again = await importFile.run(environmentId, { open: () => createReadStream(TELCO) }, { options: OPTIONS });
    expect(again).toMatchObject({ state: 'finished', created: 0, updated: 7_043, rejected: 0 });
    expect(await countSubscribers(environmentId, 'true')).toBe(7_043);
  });
});

describe('POST /v1/imports', () => {
  it('reads a byte order mark, CRLF, quotes and unicode, and finds the types', async () => {
    const ended = await importCsv(
      '\ufeffid,name,seats,since,active,plan\r\n"a/1","Zoë, ""the one""",3,2026-05-31,true,\r\nb 2,名前,4.5,2026-05-30T10:00:00+02:00,FALSE,pro\r\n',
    );
    expect(ended).toMatchObject({ status: 201, state: 'finished', lines: 2, created: 2, rejected: 0 });
    expect((await find('a/1'))?.attributes).toEqual({ name: 'Zoë, "the one"', seats: 3, since: '2026-05-31', active: true });
    expect((await find('b 2'))?.attributes).toEqual({
      name: '名前',
      seats: 4.5,
      since: '2026-05-30T08:00:00.000Z',
      active: false,
      plan: 'pro',
    });
  });

  it('reports every bad line with its number and reason, and imports the others', async () => {
    const lines = [
      'id,age,note',
      'r1,30,ok',
      ',31,no id',
      'r3,old,type',
      'r4,32',
      'r5,33,too,many',
      `r6,34,${'x'.repeat(4_097)}`,
      'r7,35,"open',
      'r8,36,"mis"placed',
      `r9,37,${'y'.repeat(IMPORT_RECORD_BYTES_MAX)}`,
      '\u0007bell,38,control',
      '',
      `${'z'.repeat(256)},39,long id`,
      'r12,40,last',
    ];
    const body = Buffer.concat([
      Buffer.from(`${lines.join('\n')}\n`),
      Buffer.from([0x72, 0x31, 0x33, 0x2c, 0x34, 0x31, 0x2c, 0xe9]),
      Buffer.from('\nr14,42,end'),
    ]);
    const ended = await importCsv(body, 'id_column=id&map=age=age:number');
    expect(ended).toMatchObject({ status: 201, lines: 14, created: 3, updated: 0, rejected: 11 });
    expect(await rejectionsOf(ended.id)).toEqual([
      [3, 'external_id_missing'],
      [4, 'attribute_type_mismatch'],
      [5, 'column_count_mismatch'],
      [6, 'column_count_mismatch'],
      [7, 'attribute_value_too_large'],
      [8, 'quote_misplaced'],
      [9, 'quote_misplaced'],
      [10, 'line_too_long'],
      [11, 'external_id_invalid'],
      [13, 'external_id_invalid'],
      [15, 'invalid_utf8'],
    ]);
  });

  it('lets the last line of an id win as a whole, and counts the others', async () => {
    const filler = Array.from({ length: 1_500 }, (_, index) => `filler-${index},1,`).join('\n');
    const ended = await importCsv(`id,a,b\ntwice,1,first\nthrice,1,x\nthrice,2,y\n${filler}\ntwice,2,\nthrice,3,z\n`);
    expect(ended).toMatchObject({ lines: 1_505, created: 1_502, updated: 0, rejected: 3 });
    expect(await rejectionsOf(ended.id)).toEqual([
      [2, 'duplicate_id'],
      [3, 'duplicate_id'],
      [4, 'duplicate_id'],
    ]);
    expect((await find('twice'))?.attributes).toEqual({ a: 2 });
    expect((await find('thrice'))?.attributes).toEqual({ a: 3, b: 'z' });
  });

  it('keeps the last good line of an id when a later one is bad', async () => {
    await importCsv('id,a\nlast,1\nlast,2\nlast,2,3\n');
    expect((await find('last'))?.attributes).toEqual({ a: 2 });
  });

  it('is an upsert: blank cells remove, or leave what is there when asked to, and other attributes stay', async () => {
    await store.upsert(environment.environmentId, { externalId: 'again', attributes: { other: 'stays' } });
    await importCsv('id,a,b\nagain,1,x\n');
    expect(await importCsv('id,a,b\nagain,, \n', 'id_column=id&blank=keep')).toMatchObject({ created: 0, updated: 1 });
    expect((await find('again'))?.attributes).toEqual({ other: 'stays', a: 1, b: 'x' });
    await importCsv('id,a,b\nagain,,y\n');
    expect((await find('again'))?.attributes).toEqual({ other: 'stays', b: 'y' });
  });

  it('maps columns to other names, types, fields and to nothing', async () => {
    const query = [
      'id_column=id',
      'map=Age=age:number',
      'map=Vip=vip:boolean',
      'map=Tags=tags:list',
      'map=Lang=@locale',
      'map=Zone=@time_zone',
      'map=Out=@unsubscribed',
      'map=Secret=',
      'delimiter=%3B',
    ];
    const ended = await importCsv(
      'id;Age;Vip;Tags;Lang;Zone;Out;Secret\nm1;030;Yes;"a; b;";de-at;Europe/Vienna;no;x\nm2;31;0;[];;;1;y\nm3;32;no;;nope;;;z\n',
      query.join('&'),
    );
    expect(ended).toMatchObject({ created: 2, rejected: 1 });
    expect(await find('m1')).toMatchObject({
      attributes: { age: 30, vip: true, tags: ['a', 'b'] },
      locale: 'de-AT',
      timeZone: 'Europe/Vienna',
      unsubscribedAt: null,
    });
    expect(await find('m2')).toMatchObject({ attributes: { age: 31, vip: false, tags: [] }, unsubscribedAt: expect.any(Date) });
    expect(await rejectionsOf(ended.id)).toEqual([[4, 'locale_invalid']]);
  });

  it('takes declared types, and strings for the rest when asked to', async () => {
    await api.call({ method: 'PUT', url: '/v1/attributes/declared_flag', payload: { type: 'boolean' }, as: environment });
    const ended = await importCsv('id,declared_flag,number\nd1,Yes,1\nd2,perhaps,2\n', 'id_column=id&types=declared');
    expect(ended).toMatchObject({ created: 1, rejected: 1 });
    expect((await find('d1'))?.attributes).toEqual({ declared_flag: true, number: '1' });
  });

  it.each([
    ['an unknown id column', 'id,a\n1,2', 'id_column=customer', 422],
    ['an unknown mapped column', 'id,a\n1,2', 'id_column=id&map=b=c', 422],
    ['two columns of one name', 'id,a,a\n1,2,3', 'id_column=id', 422],
    ['a column without a name', 'id,,a\n1,2,3', 'id_column=id', 422],
    ['two columns for one attribute', 'id,a,b\n1,2,3', 'id_column=id&map=a=b', 422],
    ['an empty file', '', 'id_column=id', 422],
    ['UTF-16', Buffer.from('\ufeffid,a\n1,2', 'utf16le'), 'id_column=id', 422],
    ['too many columns', `id,${Array.from({ length: ATTRIBUTES_MAX + 1 }, (_, index) => `c${index}`).join(',')}\n`, 'id_column=id', 422],
    ['a type against the declaration', 'id,fixed\n1,2', 'id_column=id&map=fixed=fixed:number', 422],
    ['no id column', 'id\n1', '', 400],
    ['an unknown type', 'id,a\n1,2', 'id_column=id&types=guess', 400],
    ['a broken mapping', 'id,a\n1,2', 'id_column=id&map=nonsense', 400],
    ['a long delimiter', 'id,a\n1,2', 'id_column=id&delimiter=ab', 400],
  ])('refuses %s as a whole and writes nothing', async (_name, body, query, status) => {
    await api.call({ method: 'PUT', url: '/v1/attributes/fixed', payload: { type: 'string' }, as: environment });
    const before = await countSubscribers(environment.environmentId, 'true');
    expect(await importCsv(body, query)).toMatchObject({ status, code: expect.any(String), detail: expect.any(String) });
    expect(await countSubscribers(environment.environmentId, 'true')).toBe(before);
  });

  it('takes CSV only', async () => {
    expect((await api.call({ method: 'POST', url: '/v1/imports?id_column=id', payload: {} })).status).toBe(415);
  });

  it('stops a file of which too many lines are bad', { timeout: 60_000 }, async () => {
    const { status, code } = await importCsv(`id,a\n${'bad\n'.repeat(IMPORT_REJECTIONS_MAX + 5_000)}`);
    expect({ status, code }).toEqual({ status: 422, code: 'import_stopped' });
  });

  it('shows an import whose process died as failed', async () => {
    const imports = new ImportStore(api.test.database);
    const id = await imports.insert(environment.environmentId, []);
    expect(await imports.find(environment.environmentId, id)).toMatchObject({ state: 'running', failure: null });
    await api.test.database.execute({
      text: `UPDATE subscribers.import SET progress_at = now() - interval '1 hour' WHERE environment_id = $1 AND id = $2`,
      values: [environment.environmentId, id],
    });
    expect(await imports.find(environment.environmentId, id)).toMatchObject({ state: 'failed', failure: { code: 'import_interrupted' } });
  });

  it('keeps imports and their rejections inside of the environment', async () => {
    const ended = await importCsv('id,a\nown,1\n,2\n');
    expect(await api.call({ url: `/v1/imports/${ended.id}`, as: environment })).toMatchObject({
      status: 200,
      body: { rejected: 1, failure: null },
    });
    for (const url of [`/v1/imports/${ended.id}`, `/v1/imports/${ended.id}/rejections`, '/v1/imports/imp_0']) {
      expect(await api.call({ url, as: api.foreign })).toMatchObject({ status: 404, body: { code: 'import_not_found' } });
    }
    expect(await store.findByExternalId(api.foreign.environmentId, 'own')).toBeUndefined();
  });
});
