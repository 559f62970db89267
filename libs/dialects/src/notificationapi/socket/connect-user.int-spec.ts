import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { Clock, encodeMessageId } from '#contracts';
import { countWebSockets, ShutdownService } from '#http';
import { ManageIdentitySecrets, SESSION_SECONDS_MAX, SubscriberRevocations } from '#identity';
import { SubscriberStore } from '#subscribers';
import { WideLogger } from '#telemetry';
import { createTestDatabase, type TestDatabase, waitFor, type WebSocketClient } from '#testing';
import { AnnounceMessages } from '../../../../inbox/src/stream/announce-messages.js';
import { TabRegistry } from '../../../../inbox/src/stream/tab-registry.js';
import { InboxFixture } from '../../../../inbox/src/testing/inbox-fixture.store.js';
import { REQUESTS_PER_SECOND_MAX } from './request-pace.js';
import { type DialectTenant, hashOf, NotificationApiGateway, PAGE_ORIGIN, socketQuery } from '../testing/notificationapi-gateway.js';

const ALIVE = { heartbeat: () => Promise.resolve() };
const NEW = 'inapp_web/new_notifications';
const LIST = 'inapp_web/notifications';
const UNREAD = 'inapp_web/unread_count';
/** Live connections of the flood. */
const OPENS = 1_000;

describe('the WebSocket of NotificationAPI', () => {
  let test: TestDatabase;
  let gateway: NotificationApiGateway;
  let tenant: DialectTenant;
  let fixture: InboxFixture;
  let contentId: string;
  const clients: WebSocketClient[] = [];
  let people = 0;

  beforeAll(async () => {
    test = await createTestDatabase();
    gateway = await NotificationApiGateway.start(test, { INBOX_STREAMS_PER_SUBSCRIBER_MAX: '3', INBOX_STREAM_HEARTBEAT_MS: '1000' });
    tenant = await gateway.seed();
    fixture = InboxFixture.of(test.database, tenant);
    contentId = await fixture.addContent({ title: 'Your contract ends soon' });
  });
  afterEach(() => {
    for (const client of clients.splice(0)) client.terminate();
    vi.restoreAllMocks();
  });
  afterAll(async () => {
    await gateway?.close();
    await test?.close();
  });

  const newId = (): string => `person-${(people += 1)}`;
  const idOf = async (externalId: string): Promise<string> =>
    (await gateway.app.get(SubscriberStore).findByExternalId(tenant.environmentId, externalId))?.id ?? '';
  const openCount = (): number => countWebSockets(gateway.app.getHttpAdapter().getInstance());

  /** Connects as the clients do; the proof is good unless said otherwise. */
  async function connect(
    externalId: string,
    facts: { query?: string; headers?: Record<string, string>; to?: NotificationApiGateway } = {},
  ) {
    const { query = socketQuery(tenant.publicKey, externalId, hashOf(tenant.secret, externalId)), headers, to = gateway } = facts;
    const client = await to.connect(query, headers);
    clients.push(client);
    return client;
  }

  /** A connection that has caught up: from now on it gets what is announced. */
  async function connected(externalId: string, to = gateway): Promise<WebSocketClient> {
    const client = await connect(externalId, { to });
    await client.waitWhere('route', UNREAD);
    return client;
  }

  /** Delivers a message and announces it as the broadcast record does. @returns its public id */
  async function deliver(subscriberId: string): Promise<string> {
    const messageKey = await fixture.deliver(subscriberId, contentId);
    const recipients = { first_recipient_id: subscriberId, last_recipient_id: subscriberId };
    const notice = { environment_id: tenant.environmentId, message_key: messageKey, ...recipients };
    await gateway.app.get(AnnounceMessages).delivered([notice], ALIVE);
    return encodeMessageId(messageKey, subscriberId);
  }

  const notificationsIn = (messages: readonly Record<string, unknown>[]) =>
    messages.flatMap((message) => (message['payload'] as { notifications: { id: string; title: string }[] }).notifications);

  describe('the handshake', () => {
    it('NA-7 takes the hash escaped, and mends plus signs that became spaces', async () => {
      let externalId = newId();
      while (!hashOf(tenant.secret, externalId).includes('+')) externalId = newId();
      const hash = hashOf(tenant.secret, externalId);
      expect((await connect(externalId)).ended).toBeUndefined();
      const raw = `userId=${externalId}&envId=${tenant.publicKey}&userIdHash=${hash}`;
      expect((await connect(externalId, { query: raw })).ended).toBeUndefined();
    });

    it('takes the names of both clients, and ids that need escaping', async () => {
      const externalId = 'jürgen+a/b?c=d&e:f 🎉';
      const query = `envId=${tenant.publicKey}&userId=${encodeURIComponent(externalId)}&hashedUserId=${encodeURIComponent(hashOf(tenant.secret, externalId))}`;
      const client = await connect(externalId, { query });
      await client.waitWhere('route', UNREAD);
      expect(await idOf(externalId)).not.toBe('');
    });

    it.each([
      [
        'the hash of somebody else',
        (id: string) => socketQuery(tenant.publicKey, id, hashOf(tenant.secret, 'other')),
        401,
        'identity_mismatch',
      ],
      ['no hash', (id: string) => socketQuery(tenant.publicKey, id), 401, 'identity_missing'],
      ['an empty hash', (id: string) => socketQuery(tenant.publicKey, id, ''), 401, 'identity_missing'],
      ['a broken hash', (id: string) => socketQuery(tenant.publicKey, id, 'x y'), 401, 'identity_malformed'],
      [
        'an unknown environment',
        (id: string) => socketQuery(`pk_live_${'0'.repeat(43)}`, id, hashOf(tenant.secret, id)),
        401,
        'identity_mismatch',
      ],
      ['a client id that is no key', (id: string) => socketQuery('undefined', id, hashOf(tenant.secret, id)), 401, 'identity_mismatch'],
      [
        'two users',
        (id: string) => `${socketQuery(tenant.publicKey, id, hashOf(tenant.secret, id))}&userId=victim`,
        400,
        'validation_failed',
      ],
      [
        'two hashes',
        (id: string) => `${socketQuery(tenant.publicKey, id, hashOf(tenant.secret, id))}&userIdHash=x`,
        400,
        'validation_failed',
      ],
      ['nobody', () => `envId=${tenant.publicKey}`, 400, 'validation_failed'],
    ])('refuses %s, and leaves nothing behind', async (_, queryOf, status, code) => {
      const externalId = newId();
      const before = await gateway.countSubscribers(tenant.environmentId);
      const client = await connect(externalId, { query: queryOf(externalId) });
      expect(client.ended).toMatchObject({ status, body: { code } });
      expect(await gateway.countSubscribers(tenant.environmentId)).toBe(before);
      expect(gateway.app.get(TabRegistry).tabsOf({ environmentId: tenant.environmentId, subscriberId: await idOf(externalId) }).size).toBe(
        0,
      );
    });

    it('lets pages of allowed origins connect, and clients that are no page', async () => {
      expect((await connect(newId(), { headers: { origin: PAGE_ORIGIN } })).ended).toBeUndefined();
      const refused = await connect(newId(), { headers: { origin: 'https://evil.example' } });
      expect(refused.ended).toMatchObject({ status: 403, body: { code: 'origin_not_allowed' } });
    });

    it('answers what is no WebSocket with 426, whoever asks', async () => {
      const answer = await gateway.call({ path: `/?${socketQuery(tenant.publicKey, 'x', hashOf(tenant.secret, 'x'))}` });
      expect(answer).toMatchObject({ status: 426, body: { code: 'upgrade_required' } });
      expect(answer.headers.get('upgrade')).toBe('websocket');
    });

    it('holds a subscriber to a number of connections, and frees a place with each that ends', async () => {
      const externalId = newId();
      const held = [await connected(externalId), await connected(externalId), await connected(externalId)];
      expect((await connect(externalId)).ended).toMatchObject({ status: 429, body: { code: 'inbox_stream_limit_reached' } });
      held[0]?.terminate();
      await waitFor(async () => (await connect(externalId)).ended === undefined);
    });
  });

  it('logs a connection without its query', async () => {
    const logged: string[] = [];
    for (const level of ['debug', 'info', 'warn', 'error'] as const) {
      vi.spyOn(WideLogger.prototype, level).mockImplementation((...facts: unknown[]) => void logged.push(JSON.stringify(facts)));
    }
    const externalId = newId();
    const client = await connected(externalId);
    client.send({ route: 'nonsense', payload: hashOf(tenant.secret, externalId) });
    await client.waitWhere('route', 'error');
    client.terminate();
    await connect(externalId, { query: socketQuery(tenant.publicKey, externalId, hashOf(tenant.secret, 'other')) });
    await waitFor(() => logged.some((line) => line.includes('"route":"/","status":101')), { what: `the line, got ${logged.join('\n')}` });
    await waitFor(() => logged.some((line) => line.includes('"route":"/","status":401')));
    for (const secret of [hashOf(tenant.secret, externalId), hashOf(tenant.secret, 'other')]) {
      const spellings = [secret, encodeURIComponent(secret), secret.slice(0, 20)];
      expect(logged.filter((line) => spellings.some((text) => line.includes(text)))).toEqual([]);
    }
    expect(logged.filter((line) => line.includes(externalId))).toEqual([]);
  });

  describe('the live feed', () => {
    it('brings a message and the count to every connection of its recipient, and to nobody else', async () => {
      const [anna, ben] = [newId(), newId()];
      const [first, second, other] = [await connected(anna), await connected(anna), await connected(ben)];
      const id = await deliver(await idOf(anna));
      for (const client of [first, second]) {
        expect(notificationsIn(await client.waitWhere('route', NEW))).toMatchObject([
          { id, title: 'Your contract ends soon', seen: false },
        ]);
        await waitFor(() => (client.where('route', UNREAD).at(-1)?.['payload'] as { count: number } | undefined)?.count === 1);
      }
      const otherId = await deliver(await idOf(ben));
      expect(notificationsIn(await other.waitWhere('route', NEW)).map((one) => one.id)).toEqual([otherId]);
    });

    it('ends at once when the subscriber is revoked, and when the key is', async () => {
      const own = await gateway.seed();
      const query = (id: string) => socketQuery(own.publicKey, id, hashOf(own.secret, id));
      const [anna, ben] = [await connect('anna', { query: query('anna') }), await connect('ben', { query: query('ben') })];
      await ben.waitWhere('route', UNREAD);
      await gateway.app.get(SubscriberRevocations).revoke(own.environmentId, 'anna');
      expect(await anna.waitEnd()).toMatchObject({ code: 1_000 });
      expect(ben.ended).toBeUndefined();
      expect((await connect('anna', { query: query('anna') })).ended).toMatchObject({ status: 401, body: { code: 'identity_revoked' } });
      await gateway.app.get(ManageIdentitySecrets).kill(own.environmentId, own.secretId);
      expect(await ben.waitEnd()).toMatchObject({ code: 1_000 });
    });

    it('ends on another gateway within five seconds', async () => {
      const second = await NotificationApiGateway.start(test);
      try {
        const externalId = newId();
        const client = await connected(externalId, second);
        await gateway.app.get(SubscriberRevocations).revoke(tenant.environmentId, externalId);
        await client.waitEnd(5_000);
      } finally {
        await second.close();
      }
    });
  });

  describe('requests', () => {
    let externalId: string;
    let subscriberId: string;
    let client: WebSocketClient;

    beforeEach(async () => {
      externalId = newId();
      client = await connected(externalId);
      subscriberId = await idOf(externalId);
    });

    it('tells of the environment what a page needs for push', async () => {
      client.send({ route: 'environment/data' });
      const [answer] = await client.waitWhere('route', 'environment/data');
      const payload = answer?.['payload'] as { applicationServerKey: string };
      expect(payload).toMatchObject({ logo: '', askForWebPushPermission: false });
      expect(Buffer.from(payload.applicationServerKey, 'base64url')).toHaveLength(65);
    });

    it('lists and counts, and pages by date', async () => {
      const ids: string[] = [];
      for (let count = 0; count < 5; count += 1) ids.push(encodeMessageId(await fixture.deliver(subscriberId, contentId), subscriberId));
      client.send({ route: LIST, payload: { count: 3 } });
      const first = notificationsIn(await client.waitWhere('route', LIST)) as unknown as { id: string; date: string }[];
      client.send({ route: LIST, payload: { count: 50, before: first.at(-1)?.date } });
      const all = notificationsIn(await client.waitWhere('route', LIST, 2)).map((one) => one.id);
      expect([...new Set(all)].toSorted()).toEqual(ids.toSorted());
      client.send({ route: UNREAD });
      await waitFor(() => client.where('route', UNREAD).length === 2);
      expect(client.where('route', UNREAD).at(-1)).toEqual({ route: UNREAD, payload: { count: 5 } });
    });

    it('shows "+99" to the clients where there are more than are counted', async () => {
      for (let count = 0; count < 101; count += 1) await fixture.deliver(subscriberId, contentId);
      client.send({ route: UNREAD });
      await waitFor(() => client.where('route', UNREAD).length === 2);
      expect(client.where('route', UNREAD).at(-1)).toEqual({ route: UNREAD, payload: { count: 100 } });
    });

    it('marks one and all as read, and never those of somebody else', async () => {
      const stranger = await connected(newId());
      const [one, two] = [await fixture.deliver(subscriberId, contentId), await fixture.deliver(subscriberId, contentId)];
      const readAt = async (key: string) => (await fixture.readMessages(key))[0]?.read_at ?? null;
      stranger.send({ route: 'inapp_web/unread_clear', payload: { notificationId: encodeMessageId(one, subscriberId) } });
      expect((await stranger.waitWhere('route', 'error'))[0]).toMatchObject({ payload: { code: 'inbox_message_not_found' } });
      stranger.send({ route: 'inapp_web/unread_clear' });
      stranger.send({ route: LIST, payload: { count: 50, before: '' } });
      expect(notificationsIn(await stranger.waitWhere('route', LIST))).toEqual([]);
      expect(await readAt(one)).toBeNull();
      client.send({ route: 'inapp_web/unread_clear', payload: { notificationId: encodeMessageId(one, subscriberId) } });
      await waitFor(async () => (await readAt(one)) !== null);
      expect(await readAt(two)).toBeNull();
      client.send({ route: 'inapp_web/unread_clear' });
      await waitFor(async () => (await readAt(two)) !== null);
    });

    it('answers one user on all connections no faster than a page asks, and others as well', async () => {
      const [second, stranger] = [await connected(externalId), await connected(newId())];
      const started = performance.now();
      const each = REQUESTS_PER_SECOND_MAX;
      for (let index = 0; index < each; index += 1) for (const tab of [client, second]) tab.send({ route: LIST, payload: { count: 1 } });
      client.send({ route: LIST, payload: { count: 1 } });
      stranger.send({ route: LIST, payload: { count: 1 } });
      await stranger.waitWhere('route', LIST);
      await client.waitWhere('route', LIST, each + 1);
      await second.waitWhere('route', LIST, each);
      expect(performance.now() - started).toBeGreaterThan(1_900);
    });

    it('has nothing to configure, and says so where somebody tries', async () => {
      client.send({ route: 'user_preferences/get_preferences' });
      expect(await client.waitWhere('route', 'user_preferences/preferences')).toMatchObject([{ payload: { userPreferences: [] } }]);
      client.send({ route: 'user_preferences/patch_preferences', payload: [{ notificationId: 'x', channelPreferences: [] }] });
      expect((await client.waitWhere('route', 'error'))[0]).toMatchObject({ payload: { code: 'notificationapi_preference_not_found' } });
    });

    it.each([
      ['', 'json_malformed'],
      ['x', 'json_malformed'],
      ['null', 'notificationapi_request_invalid'],
      ['[]', 'notificationapi_request_invalid'],
      ['{}', 'notificationapi_request_invalid'],
      ['{"route":"inapp_web/nothing"}', 'notificationapi_request_invalid'],
      ['{"route":["inapp_web/notifications"]}', 'notificationapi_request_invalid'],
      ['{"route":"inapp_web/notifications"}', 'notificationapi_request_invalid'],
      ['{"route":"inapp_web/notifications","payload":{"count":0}}', 'notificationapi_request_invalid'],
      ['{"route":"inapp_web/notifications","payload":{"count":1e9}}', 'notificationapi_request_invalid'],
      ['{"route":"inapp_web/notifications","payload":{"count":5,"before":"soon"}}', 'notificationapi_request_invalid'],
      ['{"route":"inapp_web/unread_clear","payload":{"notificationId":7}}', 'notificationapi_request_invalid'],
      ['{"route":"environment/data","__proto__":{"x":1}}', 'json_key_forbidden'],
      ['{"route":"\\u0000"}', 'validation_failed'],
      [`${'['.repeat(5_000)}${']'.repeat(5_000)}`, 'json_too_complex'],
    ])('answers a bad text with an error, and goes on (%#)', async (text, code) => {
      client.send(text);
      expect((await client.waitWhere('route', 'error'))[0]).toMatchObject({ payload: { code, hint: expect.any(String) } });
      client.send({ route: UNREAD });
      await waitFor(() => client.where('route', UNREAD).length === 2);
      expect(client.ended).toBeUndefined();
    });
  });

  describe('the proof of an open connection', () => {
    /** A gateway that looks at proofs every few milliseconds. */
    async function hasty(work: (hastyGateway: NotificationApiGateway, own: DialectTenant) => Promise<void>): Promise<void> {
      const real = globalThis.setInterval;
      const quarter = 15 * 60 * 1_000;
      const faster = ((callback: () => void, ms?: number) => real(callback, ms === quarter ? 50 : ms)) as typeof setInterval;
      vi.spyOn(globalThis, 'setInterval').mockImplementation(faster);
      await work(gateway, await gateway.seed());
    }

    it('ends the connection once the key is retired', () =>
      hasty(async (to, own) => {
        const client = await connect('anna', { to, query: socketQuery(own.publicKey, 'anna', hashOf(own.secret, 'anna')) });
        await client.waitWhere('route', UNREAD);
        await to.app.get(ManageIdentitySecrets).retire(own.environmentId, own.secretId, 0);
        expect(await client.waitEnd()).toMatchObject({ code: 1_008 });
      }));

    it('ends the connection of a subscriber who was deleted', () =>
      hasty(async (to, own) => {
        const client = await connect('anna', { to, query: socketQuery(own.publicKey, 'anna', hashOf(own.secret, 'anna')) });
        await client.waitWhere('route', UNREAD);
        await to.app.get(SubscriberStore).remove(own.environmentId, 'anna');
        expect(await client.waitEnd()).toMatchObject({ code: 1_008 });
        expect(await to.app.get(SubscriberStore).findByExternalId(own.environmentId, 'anna')).toBeUndefined();
      }));

    it('is no older than a session may be', async () => {
      const clock = gateway.app.get(Clock);
      const realTimeout = globalThis.setTimeout;
      const asked: number[] = [];
      const listening = ((callback: () => void, ms?: number) => (asked.push(ms ?? 0), realTimeout(callback, ms))) as typeof setTimeout;
      vi.spyOn(globalThis, 'setTimeout').mockImplementation(listening);
      const beforeMs = clock.now().getTime();
      await connected(newId());
      const spentMs = clock.now().getTime() - beforeMs;
      const life = asked.filter((ms) => ms > SESSION_SECONDS_MAX * 1_000 - spentMs - 1_000 && ms <= SESSION_SECONDS_MAX * 1_000);
      expect(life).toHaveLength(1);
    });
  });

  it(`takes ${OPENS} connections, one after the other and many at once, and is left with none`, async () => {
    await waitFor(() => openCount() === 0);
    const externalIds = Array.from({ length: 100 }, newId);
    for (let round = 0; round < OPENS / externalIds.length; round += 1) {
      const opened = await Promise.all(externalIds.map((id) => connected(id)));
      expect(openCount()).toBe(externalIds.length);
      for (const client of opened) client.terminate();
      await waitFor(() => openCount() === 0, { timeoutMs: 30_000 });
      clients.length = 0;
    }
    expect(gateway.app.get(TabRegistry).count).toBe(0);
    const last = await connected(newId());
    expect(last.ended).toBeUndefined();
  });

  it('ends all connections at shutdown in order, and takes no more', async () => {
    const second = await NotificationApiGateway.start(test);
    const held = await connected(newId(), second);
    expect(await second.app.get(ShutdownService).shutdown('test')).toBe(true);
    expect(await held.waitEnd()).toMatchObject({ code: 1_001 });
  });
});
