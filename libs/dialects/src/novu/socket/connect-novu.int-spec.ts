import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { decodeMessageId } from '#contracts';
import { countWebSockets, ShutdownService, WEB_SOCKET_MESSAGE_BYTES_MAX } from '#http';
import { SESSION_SECONDS_MAX, SessionTokens, SubscriberRevocations } from '#identity';
import { SubscriberStore } from '#subscribers';
import { WideLogger } from '#telemetry';
import { waitFor, WebSocketClient } from '#testing';
import { AnnounceMessages } from '../../../../inbox/src/stream/announce-messages.js';
import { TabRegistry } from '../../../../inbox/src/stream/tab-registry.js';
import { ALLOWED_ORIGIN, NovuGateway, type NovuTenant } from '../testing/novu-gateway.js';

const ALIVE = { heartbeat: () => Promise.resolve() };
const RECEIVED = 'notification_received';
const UNREAD = 'unread_count_changed';
const UNSEEN = 'unseen_count_changed';
/** Live connections of the flood, in rounds of so many at once. */
const OPENS = 300;
const AT_ONCE = 50;

describe('the WebSocket of Novu', () => {
  let gateway: NovuGateway;
  let tenant: NovuTenant;
  const clients: WebSocketClient[] = [];
  let people = 0;

  beforeAll(async () => {
    gateway = await NovuGateway.open(undefined, { INBOX_STREAMS_PER_SUBSCRIBER_MAX: '3', INBOX_STREAM_HEARTBEAT_MS: '1000' });
    tenant = await gateway.seed({ kind: 'production' });
  });
  afterEach(() => {
    for (const client of clients.splice(0)) client.terminate();
    vi.restoreAllMocks();
  });
  afterAll(() => gateway?.close());

  const newId = (): string => `live-${(people += 1)}`;
  const openCount = (of = gateway): number => countWebSockets(of.app.getHttpAdapter().getInstance());

  /** Connects with this query, as a client does. */
  async function connect(query: string, headers: Record<string, string> = {}, to = gateway): Promise<WebSocketClient> {
    const url = (await to.url()).replace('http', 'ws');
    const client = await WebSocketClient.open(`${url}/v1/inbox/socket${query}`, headers);
    clients.push(client);
    return client;
  }

  /** A connection of somebody that has caught up: from now on it gets what is announced. */
  async function connected(externalId: string, to = gateway): Promise<WebSocketClient> {
    const client = await connect(`?token=${await to.tokenOf(tenant, externalId)}`, {}, to);
    await client.waitWhere('event', UNSEEN);
    return client;
  }

  /** Delivers messages and announces them as the broadcast record does. @returns their ids */
  async function deliver(externalId: string, fields = { title: 'Your contract ends soon' }): Promise<string[]> {
    const ids = await gateway.deliver(tenant, externalId, { fields });
    const subscriberId = await idOf(externalId);
    const recipients = { first_recipient_id: subscriberId, last_recipient_id: subscriberId };
    const notices = ids.map((id) => ({
      environment_id: tenant.environmentId,
      message_key: decodeMessageId(id)?.messageKey ?? '',
      ...recipients,
    }));
    await gateway.app.get(AnnounceMessages).delivered(notices, ALIVE);
    return ids;
  }

  const lastOf = (client: WebSocketClient, event: string) => client.where('event', event).at(-1)?.['data'];

  describe('the handshake', () => {
    it('takes the token of a session in the query, and in the header', async () => {
      const externalId = newId();
      await connected(externalId);
      const authorization = `Bearer ${await gateway.tokenOf(tenant, externalId)}`;
      expect((await connect('', { authorization })).ended).toBeUndefined();
    });

    it.each([
      ['no token', '', 'session_missing'],
      ['an empty token', '?token=', 'session_invalid'],
      ['a token that is none', '?token=null', 'session_invalid'],
      ['two tokens', '?token=a&token=b', 'session_invalid'],
      ['a token that is too long', `?token=${'a'.repeat(5_000)}`, 'session_invalid'],
      ['a ticket', '?ticket=tkt_anything', 'session_missing'],
    ])('refuses %s', async (_, query, code) => {
      expect((await connect(query)).ended).toMatchObject({ status: 401, body: { code } });
    });

    it('refuses a token that was changed, one that is over, one of another audience and one for another scope', async () => {
      const externalId = newId();
      const token = await gateway.tokenOf(tenant, externalId);
      const [head, body = '', signature] = token.split('.');
      const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as Record<string, unknown>;
      const forge = (changes: object) => Buffer.from(JSON.stringify({ ...claims, ...changes })).toString('base64url');
      const other = await gateway.seed({ kind: 'production' });
      const nobody = Buffer.from('{"alg":"none","typ":"belfry-session+jwt"}').toString('base64url');
      const forged = [
        `${head}.${forge({ env: other.environmentId })}.${signature}`,
        `${head}.${forge({ exp: 9_999_999_999 })}.${signature}`,
        `${head}.${forge({ aud: 'somebody' })}.${signature}`,
        `${nobody}.${body}.`,
        token.slice(0, -2),
      ];
      for (const one of forged)
        expect((await connect(`?token=${one}`)).ended).toMatchObject({ status: 401, body: { code: 'session_invalid' } });
      const session = {
        environmentId: tenant.environmentId,
        subscriberId: await idOf(externalId),
        externalId,
        grade: 'static',
        scopes: ['push'],
      } as const;
      const { token: ofPush } = await gateway.app.get(SessionTokens).start(session);
      expect((await connect(`?token=${ofPush}`)).ended).toMatchObject({ status: 403, body: { code: 'scope_missing' } });
      gateway.clock.advance(SESSION_SECONDS_MAX * 1_000);
      expect((await connect(`?token=${token}`)).ended).toMatchObject({ status: 401, body: { code: 'session_expired' } });
    });

    it('takes a token in the query nowhere else', async () => {
      const token = await gateway.tokenOf(tenant, newId());
      const { status, body } = await gateway.call({ url: `/v1/inbox/notifications?token=${token}` });
      expect({ status, code: body.code }).toEqual({ status: 401, code: 'session_missing' });
    });

    it('lets pages of allowed origins connect, and clients that are no page', async () => {
      const query = `?token=${await gateway.tokenOf(tenant, newId())}`;
      expect((await connect(query, { origin: ALLOWED_ORIGIN })).ended).toBeUndefined();
      const refused = await connect(query, { origin: 'https://evil.example' });
      expect(refused.ended).toMatchObject({ status: 403, body: { code: 'origin_not_allowed' } });
    });

    it('answers what is no WebSocket with 426', async () => {
      const { status, headers } = await gateway.call({ url: '/v1/inbox/socket', token: await gateway.tokenOf(tenant, newId()) });
      expect({ status, upgrade: headers['upgrade'] }).toEqual({ status: 426, upgrade: 'websocket' });
    });

    it('holds a subscriber to a number of connections, and frees a place with each that ends', async () => {
      const externalId = newId();
      const held = [await connected(externalId), await connected(externalId), await connected(externalId)];
      const query = `?token=${await gateway.tokenOf(tenant, externalId)}`;
      expect((await connect(query)).ended).toMatchObject({ status: 429, body: { code: 'inbox_stream_limit_reached' } });
      held[0]?.terminate();
      await waitFor(async () => (await connect(query)).ended === undefined);
    });
  });

  it('logs a connection without its token', async () => {
    const logged: string[] = [];
    for (const level of ['debug', 'info', 'warn', 'error'] as const) {
      vi.spyOn(WideLogger.prototype, level).mockImplementation((...facts: unknown[]) => void logged.push(JSON.stringify(facts)));
    }
    const token = await gateway.tokenOf(tenant, newId());
    (await connect(`?token=${token}`)).terminate();
    await connect(`?token=${token}x`);
    await waitFor(() => logged.some((line) => line.includes('"route":"/v1/inbox/socket","status":101')), { what: 'the line of 101' });
    await waitFor(() => logged.some((line) => line.includes('"route":"/v1/inbox/socket","status":401')), { what: 'the line of 401' });
    const [, claims = '', signature = ''] = token.split('.');
    expect(logged.filter((line) => line.includes(claims) || line.includes(signature))).toEqual([]);
  });

  describe('the live feed', () => {
    it('brings a message and the counts to every connection of its recipient, and to nobody else', async () => {
      const [anna, ben] = [newId(), newId()];
      const [first, second, other] = [await connected(anna), await connected(anna), await connected(ben)];
      expect(lastOf(first, UNREAD)).toEqual({
        counts: { total: 0, severity: { high: 0, medium: 0, low: 0, none: 0 } },
        unreadCount: 0,
        hasMore: false,
      });
      const [id] = await deliver(anna);
      for (const client of [first, second]) {
        const [received] = await client.waitWhere('event', RECEIVED);
        expect(received).toMatchObject({
          data: {
            message: {
              _id: id,
              subject: 'Your contract ends soon',
              read: false,
              seen: false,
              archived: false,
              subscriber: { subscriberId: anna },
            },
          },
        });
        await waitFor(() => (lastOf(client, UNREAD) as { unreadCount: number }).unreadCount === 1);
        await waitFor(() => (lastOf(client, UNSEEN) as { unseenCount: number }).unseenCount === 1);
      }
      await deliver(ben, { title: 'For Ben' });
      const heard = await other.waitWhere('event', RECEIVED);
      expect(heard).toMatchObject([{ data: { message: { subject: 'For Ben' } } }]);
      expect(first.where('event', RECEIVED)).toHaveLength(1);
    });

    it('says nothing to a session with a context', async () => {
      const externalId = newId();
      const plain = await connected(externalId);
      const person = { environmentId: tenant.environmentId, subscriberId: await idOf(externalId), externalId };
      const session = { ...person, grade: 'static', scopes: ['inbox'], contextDigest: 'c'.repeat(43) } as const;
      const { token } = await gateway.app.get(SessionTokens).start(session);
      const bound = await connect(`?token=${token}`);
      expect(bound.ended).toBeUndefined();
      await deliver(externalId);
      await plain.waitWhere('event', RECEIVED);
      bound.send('ping');
      await bound.waitWhere('text', 'pong');
      expect(bound.messages).toEqual([{ text: 'pong' }]);
    });

    it('ends at once when the subscriber is revoked', async () => {
      const externalId = newId();
      const client = await connected(externalId);
      const stranger = await connected(newId());
      await gateway.app.get(SubscriberRevocations).revoke(tenant.environmentId, externalId);
      await client.waitEnd(5_000);
      stranger.send('ping');
      await stranger.waitWhere('text', 'pong');
      expect(stranger.ended).toBeUndefined();
    });
  });

  describe('what a client sends', () => {
    it.each([
      ['nothing', ''],
      ['no ping', 'pong'],
      ['JSON', '{"event":"notification_received","data":{"message":{}}}'],
      ['a frame of socket.io', '40{"token":"x"}'],
      ['a NUL', '\u0000'],
    ])('ends the connection over %s', async (_, text) => {
      const client = await connected(newId());
      client.send(text);
      expect(await client.waitEnd()).toMatchObject({ code: 1_008 });
    });

    it('ends the connection over a text that is too long', async () => {
      const client = await connected(newId());
      client.send('p'.repeat(WEB_SOCKET_MESSAGE_BYTES_MAX + 1));
      expect(await client.waitEnd()).toMatchObject({ code: 1_009 });
    });
  });

  it(`takes ${OPENS} connections, many at once, and is left with none`, async () => {
    await waitFor(() => openCount() === 0);
    const tokens = await Promise.all(Array.from({ length: AT_ONCE }, () => gateway.tokenOf(tenant, newId())));
    for (let round = 0; round < OPENS / AT_ONCE; round += 1) {
      const opened = await Promise.all(tokens.map((token) => connect(`?token=${token}`)));
      expect(opened.filter(({ ended }) => ended !== undefined)).toEqual([]);
      for (const client of clients.splice(0)) client.terminate();
      await waitFor(() => openCount() === 0, { timeoutMs: 30_000 });
    }
    expect(gateway.app.get(TabRegistry).count).toBe(0);
  });

  it('ends all connections at shutdown in order', async () => {
    const second = await gateway.openAnother();
    try {
      const held = await connected(newId(), second);
      expect(await second.app.get(ShutdownService).shutdown('test')).toBe(true);
      expect(await held.waitEnd()).toMatchObject({ code: 1_001 });
    } finally {
      await second.stop();
    }
  });

  async function idOf(externalId: string): Promise<string> {
    const found = await new SubscriberStore(gateway.test.database).findByExternalId(tenant.environmentId, externalId);
    return found?.id ?? '';
  }
});
