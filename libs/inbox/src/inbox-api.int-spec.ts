import { encodeMessageId, engagementRecordedV1, inboxMessageChangedV1, newUuid } from '#contracts';
import { buildDocument, findDocumentFaults } from '#http';
import { ReceiptTokens } from '#identity';
import { createTestDatabase, type TestDatabase } from '#testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { InboxMessage } from './message.js';
import { InboxFixture } from './testing/inbox-fixture.store.js';
import { InboxGateway } from './testing/inbox-gateway.js';

const MISSING = 'inbox_message_not_found';

describe('the inbox API', () => {
  let test: TestDatabase;
  let gateway: InboxGateway;
  let fixture: InboxFixture;
  let anna: string;
  let token: string;
  let contentId: string;

  beforeAll(async () => {
    test = await createTestDatabase();
    gateway = await InboxGateway.start(test);
  });
  afterAll(async () => {
    await gateway.close();
    await test.close();
  });
  beforeEach(async () => {
    fixture = await InboxFixture.make(test.database);
    [anna = ''] = await fixture.addSubscribers(1);
    token = await gateway.tokenFor({ environmentId: fixture.environmentId, subscriberId: anna });
    contentId = await fixture.addContent({ title: 'Your contract ends soon' });
  });

  const get = (path: string, as = token) => gateway.call('GET', path, as);
  const post = (path: string, as = token) => gateway.call('POST', path, as);
  const messagesOf = (body: Record<string, unknown>) => body['data'] as InboxMessage[];
  const list = async (query = '') => messagesOf((await get(`messages${query}`)).body);
  const changes = async () =>
    (await fixture.readOutbox()).filter(({ topic }) => topic === inboxMessageChangedV1.topic).map(({ event }) => event);
  const engagement = async () =>
    (await fixture.readOutbox()).filter(({ topic }) => topic === engagementRecordedV1.topic).map(({ event }) => event);
  const deliverMany = async (count: number) => {
    const keys: string[] = [];
    const startMs = Date.now() - count;
    for (let index = 0; index < count; index += 1)
      keys.push(await fixture.deliver(anna, contentId, { messageKey: newUuid(startMs + index) }));
    return keys.map((key) => encodeMessageId(key, anna)).toReversed();
  };

  describe('listing', () => {
    it('shows a message made of its content and what was rendered for this subscriber', async () => {
      const personal = await fixture.addContent({
        title: 'Hello {{ subscriber.name }}',
        body: 'Renew it.',
        url: '/offers',
        icon: 'https://cdn.example/icon.png',
        actions: [{ id: 'renew', title: 'Renew' }],
        data: { plan: 'pro' },
      });
      const key = await fixture.deliver(anna, personal, { rendered: { title: 'Hello Anna' } });
      const { status, body } = await get('messages');
      expect(status).toBe(200);
      expect(body).toEqual({
        data: [
          {
            id: encodeMessageId(key, anna),
            title: 'Hello Anna',
            body: 'Renew it.',
            url: '/offers',
            icon: 'https://cdn.example/icon.png',
            image: null,
            actions: [{ id: 'renew', title: 'Renew', url: null }],
            data: { plan: 'pro' },
            delivered_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
            expires_at: '2099-01-01T00:00:00.000Z',
            seen_at: null,
            read_at: null,
            archived_at: null,
            receipt: expect.stringMatching(/^[\w-]+$/),
          },
        ],
        has_more: false,
        next_cursor: null,
        unread: { count: 1, capped: false },
      });
    });

    it('gives a receipt with each message that proves it', async () => {
      const key = await fixture.deliver(anna, contentId);
      const [message] = await list();
      expect(gateway.app.get(ReceiptTokens, { strict: false }).verify(message?.receipt ?? '')).toEqual({
        verdict: 'valid',
        receipt: { environmentId: fixture.environmentId, messageKey: key, subscriberId: anna, contentId, channel: 'inbox' },
      });
    });

    it('pages newest first without skipping or repeating, also when new messages come in between', async () => {
      const ids = await deliverMany(7);
      const seen: string[] = [];
      let cursor: string | null = null;
      do {
        const { body } = await get(`messages?limit=3${cursor === null ? '' : `&cursor=${cursor}`}`);
        seen.push(...messagesOf(body).map((message) => message.id));
        cursor = body['next_cursor'] as string | null;
        await fixture.deliver(anna, contentId);
      } while (cursor !== null);
      expect(seen).toEqual(ids);
    });

    it('filters by unread, seen and archived, and leaves archived messages out by default', async () => {
      const [archived = '', read = '', seen = '', fresh = ''] = await deliverMany(4);
      await post(`messages/${archived}/archive`);
      await post(`messages/${read}/read`);
      await post(`messages/${seen}/seen`);
      const ids = async (query: string) => (await list(query)).map((message) => message.id);
      expect(await ids('')).toEqual([read, seen, fresh]);
      expect(await ids('?unread=true')).toEqual([seen, fresh]);
      expect(await ids('?unread=false')).toEqual([read]);
      expect(await ids('?seen=false')).toEqual([fresh]);
      expect(await ids('?seen=true&unread=true')).toEqual([seen]);
      expect(await ids('?archived=true')).toEqual([archived]);
    });

    it('neither lists nor counts expired messages', async () => {
      await fixture.deliver(anna, contentId, { expiresAt: '2020-01-01T00:00:00.000Z' });
      const { body } = await get('messages');
      expect(body).toMatchObject({ data: [], unread: { count: 0, capped: false } });
    });

    it.each(['?limit=0', '?limit=101', '?limit=x', '?unread=maybe', '?cursor=', '?cursor=abc', '?other=1'])(
      'refuses %s with 400',
      async (query) => {
        expect((await get(`messages${query}`)).status).toBe(400);
      },
    );

    it('leaves out a message whose content is gone instead of failing the page', async () => {
      await fixture.deliver(anna, newUuid());
      const [id] = await deliverMany(1);
      expect((await list()).map((message) => message.id)).toEqual([id]);
    });
  });

  describe('counting', () => {
    it('counts what is unread, not archived and not expired', async () => {
      const [first = '', second = ''] = await deliverMany(4);
      await post(`messages/${first}/read`);
      await post(`messages/${second}/archive`);
      expect(await get('unread-count')).toEqual({ status: 200, body: { count: 2, capped: false } });
    });

    it('stops at 99 and says so', async () => {
      await deliverMany(100);
      expect((await get('unread-count')).body).toEqual({ count: 99, capped: true });
      expect((await get('messages?limit=1')).body['unread']).toEqual({ count: 99, capped: true });
    });
  });

  describe('changing one message', () => {
    const states = (message: Record<string, unknown>) =>
      [message['seen_at'], message['read_at'], message['archived_at']].map((at) => at !== null);

    it('follows the rules: reading has seen, archiving has read, unread and unarchive bring back', async () => {
      const [id = ''] = await deliverMany(1);
      const after = async (change: string) => states((await post(`messages/${id}/${change}`)).body);
      expect(await after('seen')).toEqual([true, false, false]);
      expect(await after('read')).toEqual([true, true, false]);
      expect(await after('archive')).toEqual([true, true, true]);
      expect(await after('unarchive')).toEqual([true, true, false]);
      expect(await after('archive')).toEqual([true, true, true]);
      expect(await after('unread')).toEqual([true, false, false]);
    });

    it('is idempotent: a repeat answers the same, keeps the first time and tells nobody', async () => {
      const [id = ''] = await deliverMany(1);
      const first = await post(`messages/${id}/read`);
      const second = await post(`messages/${id}/read`);
      expect(first.status).toBe(200);
      expect(second).toEqual(first);
      expect(await changes()).toHaveLength(1);
    });

    it('tells the other tabs in the same transaction', async () => {
      const key = await fixture.deliver(anna, contentId);
      await post(`messages/${encodeMessageId(key, anna)}/archive`);
      expect(await changes()).toEqual([{ environment_id: fixture.environmentId, subscriber_id: anna, message_key: key }]);
    });

    it('changes once when the same call comes many times at once', async () => {
      const [id = ''] = await deliverMany(1);
      const answers = await Promise.all(Array.from({ length: 10 }, () => post(`messages/${id}/read`)));
      expect(new Set(answers.map(({ status, body }) => `${status} ${String(body['read_at'])}`)).size).toBe(1);
      expect(await changes()).toHaveLength(1);
    });

    it('still changes an expired message that a tab shows', async () => {
      const key = await fixture.deliver(anna, contentId, { expiresAt: '2020-01-01T00:00:00.000Z' });
      expect((await post(`messages/${encodeMessageId(key, anna)}/read`)).status).toBe(200);
    });
  });

  describe('what is recorded as engagement', () => {
    const kinds = async () => (await engagement()).map((event) => event['kind']);

    it('is each state that a change set, also the states that it implies', async () => {
      const [id = ''] = await deliverMany(1);
      await post(`messages/${id}/seen`);
      expect(await kinds()).toEqual(['seen']);
      await post(`messages/${id}/archive`);
      expect(await kinds()).toEqual(['seen', 'read', 'archived']);
      await post(`messages/${id}/archive`);
      await post(`messages/${id}/unarchive`);
      expect(await kinds()).toEqual(['seen', 'read', 'archived']);
    });

    it('names the message, its owner and the channel', async () => {
      const key = await fixture.deliver(anna, contentId);
      await post(`messages/${encodeMessageId(key, anna)}/seen`);
      expect(await engagement()).toEqual([
        {
          environment_id: fixture.environmentId,
          message_key: key,
          subscriber_id: anna,
          channel: 'inbox',
          kind: 'seen',
          occurred_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:]+\.\d{3}Z$/),
        },
      ]);
    });

    it('names every message when all are changed at once', async () => {
      const [seen = ''] = await deliverMany(3);
      await post(`messages/${seen}/seen`);
      await post('messages/read-all');
      const events = await engagement();
      expect(events.filter(({ kind }) => kind === 'read')).toHaveLength(3);
      expect(events.filter(({ kind }) => kind === 'seen')).toHaveLength(3);
      expect(new Set(events.map((event) => `${String(event['message_key'])} ${String(event['kind'])}`)).size).toBe(6);
    });
  });

  describe('changing all messages', () => {
    it('reads all that is not archived, says how many, and a repeat changes nothing', async () => {
      const [archived = ''] = await deliverMany(4);
      await post(`messages/${archived}/archive`);
      expect(await post('messages/read-all')).toEqual({ status: 200, body: { changed: 3 } });
      expect(await post('messages/read-all')).toEqual({ status: 200, body: { changed: 0 } });
      expect((await get('unread-count')).body).toEqual({ count: 0, capped: false });
      expect((await changes()).filter((event) => !('message_key' in event))).toHaveLength(1);
    });

    it('marks all as seen and leaves them unread', async () => {
      await deliverMany(2);
      expect((await post('messages/seen-all')).body).toEqual({ changed: 2 });
      expect((await get('unread-count')).body).toEqual({ count: 2, capped: false });
    });
  });

  describe('somebody else', () => {
    const changeNames = ['seen', 'read', 'unread', 'archive', 'unarchive'];

    it.each(changeNames)('cannot %s a message, and gets the answer of an unknown one', async (change) => {
      const [ben = ''] = await fixture.addSubscribers(1);
      const benToken = await gateway.tokenFor({ environmentId: fixture.environmentId, subscriberId: ben });
      const key = await fixture.deliver(anna, contentId);
      const foreign = await post(`messages/${encodeMessageId(key, anna)}/${change}`, benToken);
      const unknown = await post(`messages/${encodeMessageId(newUuid(), ben)}/${change}`, benToken);
      expect(foreign).toMatchObject({ status: 404, body: { code: MISSING } });
      expect({ ...foreign.body, request_id: '' }).toEqual({ ...unknown.body, request_id: '' });
      expect(await post(`messages/${encodeMessageId(key, ben)}/${change}`, benToken)).toMatchObject({ status: 404 });
      const [row] = await fixture.readMessages(key);
      expect(row).toMatchObject({ seen_at: null, read_at: null, archived_at: null });
      expect(await changes()).toEqual([]);
    });

    it('of another environment sees and changes nothing, even with the same subscriber id in the token', async () => {
      const other = await InboxFixture.make(test.database);
      const key = await fixture.deliver(anna, contentId);
      const strangerToken = await gateway.tokenFor({ environmentId: other.environmentId, subscriberId: anna });
      expect((await get('messages', strangerToken)).body).toMatchObject({ data: [], unread: { count: 0 } });
      expect((await get('unread-count', strangerToken)).body).toEqual({ count: 0, capped: false });
      expect(await post(`messages/${encodeMessageId(key, anna)}/read`, strangerToken)).toMatchObject({ status: 404 });
      expect((await post('messages/read-all', strangerToken)).body).toEqual({ changed: 0 });
      expect(await fixture.readMessages(key)).toMatchObject([{ read_at: null }]);
    });

    it.each(['msg_', 'msg_x', 'cmp_00000000000000000000000000', '%00', 'msg_%ff', 'read-all-please', `msg_${'z'.repeat(52)}`])(
      'gets 400 or 404 for the id %s',
      async (id) => {
        const { status } = await post(`messages/${id}/read`);
        expect([400, 404]).toContain(status);
      },
    );

    it.each([
      ['GET', 'messages'],
      ['GET', 'unread-count'],
      ['GET', 'stream'],
      ['POST', 'messages/read-all'],
      ['POST', 'messages/seen-all'],
      ['POST', 'messages/msg_x/read'],
    ] as const)('without a session token gets 401 from %s %s', async (method, path) => {
      expect(await gateway.call(method, path)).toMatchObject({ status: 401, body: { code: 'session_missing' } });
    });
  });

  it('documents every route', () => {
    const document = buildDocument(gateway.app, { title: 'Belfry', description: '', version: '1' });
    expect(findDocumentFaults(document)).toEqual([]);
  });
});
