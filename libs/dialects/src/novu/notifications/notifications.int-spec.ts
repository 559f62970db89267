import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { encodeId, encodeMessageId, newUuid } from '#contracts';
import { SessionTokens, signSubscriberId } from '#identity';
import { SubscriberStore } from '#subscribers';
import { olpcJson } from '../open-session/olpc-json.js';
import { type NovuCall, type NovuDelivery, NovuGateway, type NovuTenant, sessionOf } from '../testing/novu-gateway.js';
import type { NovuNotification } from './notification.js';

let gateway: NovuGateway;
let tenant: NovuTenant;
let people = 0;
let anna: string;
let annaId: string;
let token: string;
beforeAll(async () => {
  gateway = await NovuGateway.open();
  tenant = await gateway.seed();
});
afterAll(() => gateway?.close());
beforeEach(async () => {
  anna = `anna-${(people += 1)}`;
  token = await gateway.tokenOf(tenant, anna);
  annaId = await idOf(anna);
});

async function idOf(externalId: string): Promise<string> {
  const found = await new SubscriberStore(gateway.test.database).findByExternalId(tenant.environmentId, externalId);
  return found?.id ?? '';
}

const deliver = (delivery?: NovuDelivery) => gateway.deliver(tenant, anna, delivery);
const call = (path: string, more: Partial<NovuCall> = {}) => gateway.call({ url: `/v1/inbox/notifications${path}`, token, ...more });
const patch = (id: string, change: string, more: Partial<NovuCall> = {}) => call(`/${id}/${change}`, { method: 'PATCH', ...more });
const post = (path: string, payload: object = {}, more: Partial<NovuCall> = {}) => call(path, { method: 'POST', payload, ...more });
const list = async (query = '') => (await call(query)).body as { data: NovuNotification[]; hasMore: boolean; filter: object };
const idsOf = async (query = '') => (await list(query)).data.map(({ id }) => id);
const counts = async (filters: object[]) => {
  const { body } = await call(`/count?filters=${encodeURIComponent(JSON.stringify(filters))}`);
  return (body.data as { count: number; filter: object }[]).map(({ count }) => count);
};
const stateOf = async (id: string) => {
  const { data } = await list();
  const { isSeen, isRead, isArchived } = data.find((notification) => notification.id === id) ?? {};
  return { isSeen, isRead, isArchived };
};

describe('GET /v1/inbox/notifications', () => {
  it('shows a message as the client knows notifications, and invents nothing', async () => {
    const action = { id: 'renew', title: 'Renew', url: 'https://shop.example/renew' };
    const [id = ''] = await deliver({
      fields: {
        title: 'Your contract ends',
        body: 'Renew it.',
        url: '/offers',
        icon: 'https://cdn.example/icon.png',
        actions: [action, { id: 'later', title: 'Later' }],
        data: { plan: 'pro', seats: 3 },
      },
    });
    const { data, hasMore, filter } = await list();
    expect({ hasMore, filter }).toEqual({ hasMore: false, filter: {} });
    expect(data).toEqual([
      {
        id,
        transactionId: expect.stringMatching(/^[0-9a-f-]{36}$/),
        subject: 'Your contract ends',
        body: 'Renew it.',
        to: { id: encodeId('subscriber', annaId), subscriberId: anna },
        isRead: false,
        isSeen: false,
        isArchived: false,
        isSnoozed: false,
        snoozedUntil: null,
        deliveredAt: [expect.stringMatching(/Z$/)],
        createdAt: data[0]?.deliveredAt[0],
        readAt: null,
        firstSeenAt: null,
        archivedAt: null,
        avatar: 'https://cdn.example/icon.png',
        primaryAction: { label: 'Renew', isCompleted: false, redirect: { url: 'https://shop.example/renew' } },
        secondaryAction: { label: 'Later', isCompleted: false },
        channelType: 'in_app',
        tags: [],
        data: { plan: 'pro', seats: 3 },
        redirect: { url: '/offers' },
        severity: 'none',
      },
    ]);
  });

  it('pages newest first, by the last id and by an offset', async () => {
    const ids = (await deliver({ count: 5 })).toReversed();
    expect(await list('?limit=2')).toMatchObject({ hasMore: true, data: ids.slice(0, 2).map((id) => ({ id })) });
    expect(await idsOf(`?limit=2&after=${ids[1]}`)).toEqual(ids.slice(2, 4));
    expect(await list(`?limit=2&after=${ids[3]}`)).toMatchObject({ hasMore: false, data: [{ id: ids[4] }] });
    expect(await idsOf('?limit=2&offset=3')).toEqual(ids.slice(3));
    expect(await idsOf('?limit=2&offset=5')).toEqual([]);
  });

  it('filters by state and time, and leaves out what has expired', async () => {
    const [old = '', read = '', archived = '', fresh = ''] = await deliver({ count: 4 });
    await deliver({ fields: { title: 'Gone' }, expiresAt: '2026-01-01T00:00:00.000Z' });
    await patch(read, 'read');
    await patch(archived, 'archive');
    await post('/seen', { notificationIds: [old] });
    expect(await idsOf()).toEqual([fresh, archived, read, old]);
    expect(await idsOf('?read=false')).toEqual([fresh, old]);
    expect(await idsOf('?read=true&archived=false')).toEqual([read]);
    expect(await idsOf('?archived=true')).toEqual([archived]);
    expect(await idsOf('?archived=false&snoozed=false&seen=false')).toEqual([fresh]);
    expect(await idsOf('?snoozed=true')).toEqual([]);
    expect(await idsOf('?tags[]=offers')).toEqual([]);
    expect(await idsOf('?severity[]=high&severity[]=low')).toEqual([]);
    expect(await idsOf('?severity=none')).toHaveLength(4);
    const now = Date.now();
    expect(await idsOf(`?createdGte=${now - 600_000}&createdLte=${now + 600_000}`)).toHaveLength(4);
    expect(await idsOf(`?createdGte=${now + 600_000}`)).toEqual([]);
    expect((await list('?read=true&archived=false')).filter).toEqual({ read: true, archived: false });
  });

  it('answers 400 to what is no query, and 422 to a filter that it does not have', async () => {
    for (const query of [
      '?limit=0',
      '?limit=101',
      '?offset=-1',
      '?offset=1001',
      '?after=x',
      '?read=false&archived=true',
      '?read=1',
      '?severity=urgent',
      '?data=1',
    ]) {
      const answer = await call(query);
      expect(answer, query).toMatchObject({
        status: 400,
        body: { statusCode: 400, code: 'validation_failed', message: expect.any(String) },
      });
    }
    const data = encodeURIComponent(JSON.stringify({ plan: 'pro' }));
    expect(await call(`?data=${data}`)).toMatchObject({ status: 422, body: { code: 'novu_filter_unsupported', statusCode: 422 } });
  });
});

describe('GET /v1/inbox/notifications/count', () => {
  it('counts by each filter in order, as the lists show it, after every change', async () => {
    const ids = await deliver({ count: 4 });
    const filters = [
      {},
      { read: false },
      { read: true },
      { archived: true },
      { archived: false, snoozed: false },
      { seen: false },
      { severity: 'high' },
      { tags: ['a'] },
    ];
    const queries = [
      '',
      '?read=false',
      '?read=true',
      '?archived=true',
      '?archived=false&snoozed=false',
      '?seen=false',
      '?severity=high',
      '?tags[]=a',
    ];
    const changes = [
      () => patch(ids[0] ?? '', 'read'),
      () => patch(ids[1] ?? '', 'archive'),
      () => patch(ids[0] ?? '', 'unread'),
      () => post('/seen', {}),
      () => post('/read', {}),
      () => patch(ids[1] ?? '', 'unarchive'),
    ];
    for (const change of changes) {
      expect((await change()).status).toBeLessThan(300);
      const listed = await Promise.all(queries.map(async (query) => (await idsOf(query)).length));
      expect(await counts(filters)).toEqual(listed);
    }
  });

  it('echoes the filters and stops at 100', async () => {
    await deliver({ count: 103 });
    const { body } = await call(`/count?filters=${encodeURIComponent('[{"read":false,"severity":["none"]},{"read":true}]')}`);
    expect(body).toEqual({
      data: [
        { count: 100, filter: { read: false, severity: ['none'] } },
        { count: 0, filter: { read: true } },
      ],
    });
    const opened = await gateway.post({
      applicationIdentifier: tenant.publicKey,
      subscriberId: anna,
      subscriberHash: signSubscriberId(anna, tenant.secret),
    });
    expect(opened.body.data).toMatchObject({ totalUnreadCount: 100, unreadCount: { total: 100, severity: { none: 100 } } });
  });

  it('answers 400 to what are no filters', async () => {
    for (const filters of ['', 'x', '{}', '[]', '[1]', '[{"read":"no"}]', JSON.stringify(Array.from({ length: 31 }, () => ({})))]) {
      const answer = await call(`/count?filters=${encodeURIComponent(filters)}`);
      expect(answer, filters).toMatchObject({ status: 400, body: { statusCode: 400, message: expect.stringContaining('filters') } });
    }
    expect((await call('/count')).status).toBe(400);
  });
});

describe('changes of a notification', () => {
  it('follow the rules of its states and are idempotent', async () => {
    const [id = ''] = await deliver();
    const steps = [
      ['read', { isSeen: true, isRead: true, isArchived: false }],
      ['archive', { isSeen: true, isRead: true, isArchived: true }],
      ['unarchive', { isSeen: true, isRead: true, isArchived: false }],
      ['archive', { isSeen: true, isRead: true, isArchived: true }],
      ['unread', { isSeen: true, isRead: false, isArchived: false }],
    ] as const;
    for (const [change, state] of steps) {
      for (const time of ['first', 'second']) {
        const { status, body } = await patch(id, change);
        expect({ status, ...body.data }, `${change}, ${time}`).toMatchObject({ status: 200, id, ...state });
      }
      expect(await stateOf(id)).toEqual(state);
    }
  });

  it('of all: read, archive those that are read, archive', async () => {
    const ids = await deliver({ count: 3 });
    expect(await post('/read', { tags: ['a'] })).toMatchObject({ status: 204 });
    expect(await counts([{ read: false }])).toEqual([3]);
    await patch(ids[0] ?? '', 'read');
    expect(await post('/read-archive')).toMatchObject({ status: 204, body: undefined });
    expect(await idsOf('?archived=true')).toEqual([ids[0]]);
    expect((await post('/read')).status).toBe(204);
    expect(await counts([{ read: false }])).toEqual([0]);
    expect((await post('/archive')).status).toBe(204);
    expect(await counts([{ archived: false }])).toEqual([0]);
  });

  it('marks as seen by ids, which win over filters, and passes unknown ones over', async () => {
    const [first = '', second = ''] = await deliver({ count: 2 });
    const unknown = encodeMessageId(newUuid(), annaId);
    expect((await post('/seen', { notificationIds: [first, unknown, 'x'], tags: ['a'] })).status).toBe(204);
    expect([await stateOf(first), await stateOf(second)]).toMatchObject([{ isSeen: true, isRead: false }, { isSeen: false }]);
    expect((await post('/seen', { notificationIds: [] })).status).toBe(204);
    expect(await stateOf(second)).toMatchObject({ isSeen: false });
    expect((await post('/seen')).status).toBe(204);
    expect(await stateOf(second)).toMatchObject({ isSeen: true, isRead: false, isArchived: false });
  });

  it('answers 404 to unknown ids and 422 to what is no body', async () => {
    for (const id of ['x', encodeMessageId(newUuid(), annaId), encodeMessageId(newUuid(), newUuid()), '%00', '..%2Fcount']) {
      const { status, body } = await patch(id, 'read');
      expect(status === 404 || status === 400, id).toBe(true);
      expect(body.code).toEqual(expect.any(String));
    }
    for (const payload of [
      { notificationIds: 'x' },
      { notificationIds: [1] },
      { tags: 5 },
      { notificationIds: Array.from({ length: 101 }, () => 'x') },
      { data: '{"a":1}' },
    ]) {
      expect(await post('/seen', payload), JSON.stringify(payload).slice(0, 60)).toMatchObject({ status: 422, body: { statusCode: 422 } });
    }
  });
});

describe('somebody else', () => {
  it('neither reads nor changes a message by any route', async () => {
    const [id = ''] = await deliver();
    const stranger = await gateway.tokenOf(tenant, `stranger-${people}`);
    const elsewhere = await gateway.tokenOf(await gateway.seed(), anna);
    for (const other of [stranger, elsewhere]) {
      const as = { token: other };
      expect((await call('', as)).body.data).toEqual([]);
      expect((await call(`/count?filters=${encodeURIComponent('[{}]')}`, as)).body.data[0].count).toBe(0);
      for (const change of ['read', 'unread', 'archive', 'unarchive']) {
        expect(await patch(id, change, as)).toMatchObject({ status: 404, body: { code: 'inbox_message_not_found', statusCode: 404 } });
      }
      for (const [path, payload] of [
        ['/seen', { notificationIds: [id] }],
        ['/seen', {}],
        ['/read', {}],
        ['/archive', {}],
        ['/read-archive', {}],
      ] as const) {
        expect((await post(path, payload, as)).status).toBe(204);
      }
    }
    expect(await stateOf(id)).toEqual({ isSeen: false, isRead: false, isArchived: false });
  });

  it('gets 401 without a token that we made, and never by a ticket or a key', async () => {
    await deliver();
    const tampered = `${token.slice(0, -4)}AAAA`;
    for (const [bad, code] of [
      [undefined, 'session_missing'],
      ['x', 'session_invalid'],
      [tampered, 'session_invalid'],
      [tenant.apiKey, 'session_invalid'],
    ] as const) {
      const answer = await gateway.call({ url: '/v1/inbox/notifications', ...(bad === undefined ? {} : { token: bad }) });
      expect(answer).toMatchObject({ status: 401, body: { code, statusCode: 401, message: expect.any(String) } });
    }
  });

  it('gets 403 with a session that is not for the inbox, and leaves the messages as they are', async () => {
    const [id = ''] = await deliver();
    const session = { environmentId: tenant.environmentId, subscriberId: annaId, externalId: anna, grade: 'static' as const };
    const { token: other } = await gateway.app
      .get(SessionTokens)
      .start({ ...session, secretId: undefined, scopes: ['preferences', 'push', 'identify', 'track'] });
    const as = { token: other };
    const answers = [await call('', as), await call('/count?filters=%5B%7B%7D%5D', as)];
    for (const change of ['read', 'unread', 'archive', 'unarchive']) answers.push(await patch(id, change, as));
    for (const path of ['/read', '/archive', '/read-archive']) answers.push(await post(path, {}, as));
    for (const answer of answers) expect(answer).toMatchObject({ status: 403, body: { code: 'scope_missing', statusCode: 403 } });
    expect(await stateOf(id)).toEqual({ isSeen: false, isRead: false, isArchived: false });
  });

  it('gets nothing of a person of the same id in another environment', async () => {
    await deliver();
    const elsewhere = await gateway.seed();
    const theirs = await gateway.tokenOf(elsewhere, anna);
    expect((await call('', { token: theirs })).body).toMatchObject({ data: [] });
    const { subscriberHash } = sessionOf(elsewhere, anna);
    expect(await gateway.post({ ...sessionOf(tenant, anna), subscriberHash })).toMatchObject({ status: 400 });
  });
});

describe('a session with a context', () => {
  it('NV-11: sees and changes what was sent in that context only: nothing here, in either direction', async () => {
    const [id = ''] = await deliver();
    const context = { tenant: 'acme' };
    const contextHash = signSubscriberId(olpcJson(context) ?? '', tenant.secret);
    const within = await gateway.tokenOf(tenant, anna, { context, contextHash });
    const as = { token: within };
    expect((await call('', as)).body).toMatchObject({ data: [], hasMore: false });
    expect((await call(`/count?filters=${encodeURIComponent('[{},{"read":false}]')}`, as)).body.data).toMatchObject([
      { count: 0 },
      { count: 0 },
    ]);
    expect((await patch(id, 'read', as)).status).toBe(404);
    for (const path of ['/seen', '/read', '/archive']) expect((await post(path, {}, as)).status).toBe(204);
    expect((await post('/seen', { notificationIds: [id] }, as)).status).toBe(204);
    expect(await stateOf(id)).toEqual({ isSeen: false, isRead: false, isArchived: false });
    for (const url of ['/v1/inbox/messages', '/v1/inbox/unread-count']) {
      expect(await gateway.call({ url, token: within })).toMatchObject({ status: 403, body: { code: 'scope_missing' } });
      expect((await gateway.call({ url, token })).status).toBe(200);
    }
    expect(await gateway.call({ method: 'POST', url: '/v1/session/refresh', token: within })).toMatchObject({ status: 403 });
  });
});

describe('preferences and what is not served', () => {
  it('shows whether messages are wanted at all', async () => {
    const wanted = (enabled: boolean) => ({ level: 'global', enabled, channels: { in_app: enabled, push: enabled } });
    const read = (path: string) => gateway.call({ url: `/v1/inbox/preferences${path}`, token });
    expect((await read('')).body).toEqual({ data: [wanted(true)] });
    await new SubscriberStore(gateway.test.database).upsert(tenant.environmentId, { externalId: anna, unsubscribed: true });
    expect((await read('/global')).body).toEqual({ data: wanted(false) });
  });

  it('says that the paths of preferences can only be read', async () => {
    for (const path of ['/preferences', '/preferences/global']) {
      const answer = await gateway.call({ method: 'PATCH', url: `/v1/inbox${path}`, token, payload: {} });
      expect(answer, path).toMatchObject({
        status: 405,
        body: { code: 'method_not_allowed', statusCode: 405, message: expect.any(String) },
      });
    }
  });

  it('answers 404 with a reason that the client shows', async () => {
    const [id = ''] = await deliver();
    const calls = [
      ['PATCH', `/notifications/${id}/snooze`],
      ['PATCH', `/notifications/${id}/complete`],
      ['DELETE', `/notifications/${id}/delete`],
      ['POST', '/notifications/delete'],
      ['PATCH', '/preferences/bulk'],
      ['PATCH', '/preferences/some-workflow'],
    ] as const;
    for (const [method, path] of calls) {
      const answer = await gateway.call({ method, url: `/v1/inbox${path}`, token, ...(method === 'DELETE' ? {} : { payload: {} }) });
      expect(answer, path).toMatchObject({
        status: 404,
        body: { code: 'novu_route_unsupported', message: expect.stringContaining('not served') },
      });
    }
    expect(await stateOf(id)).toEqual({ isSeen: false, isRead: false, isArchived: false });
  });
});
