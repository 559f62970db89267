import { encodeMessageId, newUuid } from '#contracts';
import { SubscriberRevocations } from '#identity';
import { createTestDatabase, type TestDatabase, waitFor } from '#testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { InboxFixture, type OutboxRecord } from '../testing/inbox-fixture.store.js';
import { InboxGateway } from '../testing/inbox-gateway.js';
import { SseClient } from '../testing/sse-client.js';
import { REPLAY_MESSAGES_MAX, REPLAY_OVERLAP_SECONDS } from './catch-up.js';
import { NO_MESSAGE_KEY } from './event-id.js';
import { TabRegistry } from './tab-registry.js';

describe('the inbox stream', () => {
  let test: TestDatabase;
  let gateways: InboxGateway[];
  let fixture: InboxFixture;
  let anna: string;
  let token: string;
  let contentId: string;
  const tabs: SseClient[] = [];

  beforeAll(async () => {
    test = await createTestDatabase();
    gateways = [await InboxGateway.start(test, { INBOX_STREAMS_PER_SUBSCRIBER_MAX: '2' }), await InboxGateway.start(test)];
  });
  afterAll(async () => {
    await Promise.all(gateways.map((gateway) => gateway.close()));
    await test.close();
  });
  beforeEach(async () => {
    fixture = await InboxFixture.make(test.database);
    [anna = ''] = await fixture.addSubscribers(1);
    token = await gatewayOf(0).tokenFor({ environmentId: fixture.environmentId, subscriberId: anna });
    contentId = await fixture.addContent({ title: 'Your contract ends soon' });
  });
  afterEach(async () => {
    await Promise.all(tabs.splice(0).map((tab) => tab.close()));
  });

  function gatewayOf(index: number): InboxGateway {
    const gateway = gateways[index];
    if (gateway === undefined) throw new Error(`There is no gateway ${index}.`);
    return gateway;
  }

  /** A tab that has caught up: from now on it gets what is announced. */
  async function openTab(facts: { gateway?: number; lastEventId?: string; as?: string } = {}): Promise<SseClient> {
    const tab = await gatewayOf(facts.gateway ?? 0).openTab(facts.as ?? token, facts.lastEventId);
    tabs.push(tab);
    if (tab.response.ok) await tab.waitFor('unread_count');
    return tab;
  }

  /** Brings records to every gateway, as the broadcast groups do. */
  const announce = (records: readonly OutboxRecord[]) => Promise.all(gateways.map((gateway) => gateway.announce(records)));
  const delivered = (messageKey: string, firstId: string, lastId = firstId): OutboxRecord => ({
    topic: 'inbox.message.delivered.v1',
    event: { environment_id: fixture.environmentId, message_key: messageKey, first_recipient_id: firstId, last_recipient_id: lastId },
  });
  const idsOf = (tab: SseClient, kind: string) => tab.ofKind(kind).map((event) => event.data['id']);

  it('begins with the unread count and a position from which the tab can go on', async () => {
    await fixture.deliver(anna, contentId);
    const tab = await openTab();
    expect(tab.response.headers.get('content-type')).toContain('text/event-stream');
    expect(tab.events).toEqual([
      { id: expect.stringMatching(new RegExp(`^\\d{16}:${NO_MESSAGE_KEY}$`)), event: 'unread_count', data: { count: 1, capped: false } },
    ]);
  });

  it('brings a whole message and the new unread count to every tab of the recipient, on every gateway', async () => {
    const [ben = ''] = await fixture.addSubscribers(1);
    const benToken = await gatewayOf(0).tokenFor({ environmentId: fixture.environmentId, subscriberId: ben });
    const annaTabs = [await openTab({ gateway: 0 }), await openTab({ gateway: 1 })];
    const benTab = await openTab({ as: benToken });
    const key = await fixture.deliver(anna, contentId);
    await announce([delivered(key, anna)]);
    for (const tab of annaTabs) {
      const [event] = await tab.waitFor('message.delivered');
      expect(event?.data).toMatchObject({ id: encodeMessageId(key, anna), title: 'Your contract ends soon', read_at: null });
      expect(event?.id).toMatch(new RegExp(`^\\d{16}:${key}$`));
      expect((await tab.waitFor('unread_count', 2)).at(-1)?.data).toEqual({ count: 1, capped: false });
    }
    const benKey = await fixture.deliver(ben, contentId);
    await announce([delivered(benKey, ben)]);
    await benTab.waitFor('message.delivered');
    expect(idsOf(benTab, 'message.delivered')).toEqual([encodeMessageId(benKey, ben)]);
  });

  it('brings a campaign to those connected between the ends of its batch who have it, and nothing to the others', async () => {
    const [ben = '', cleo = ''] = await fixture.addSubscribers(2);
    const [first = '', middle = '', last = ''] = [anna, ben, cleo].sort();
    const tabOf = async (subscriberId: string) =>
      openTab({ as: await gatewayOf(0).tokenFor({ environmentId: fixture.environmentId, subscriberId }) });
    const [firstTab, middleTab, lastTab] = [await tabOf(first), await tabOf(middle), await tabOf(last)];
    const key = await fixture.deliver(first, contentId);
    await fixture.deliver(last, contentId, { messageKey: key });
    await announce([delivered(key, first, last)]);
    for (const [tab, id] of [[firstTab, first] as const, [lastTab, last] as const]) {
      await tab.waitFor('unread_count', 2);
      expect(idsOf(tab, 'message.delivered')).toEqual([encodeMessageId(key, id)]);
    }
    const ownKey = await fixture.deliver(middle, contentId);
    await announce([delivered(ownKey, middle)]);
    await middleTab.waitFor('unread_count', 2);
    expect(idsOf(middleTab, 'message.delivered')).toEqual([encodeMessageId(ownKey, middle)]);
    expect(middleTab.ofKind('unread_count')).toHaveLength(2);
  });

  it('never brings a message to the same subscriber id of another environment', async () => {
    const other = await InboxFixture.make(test.database);
    await other.addNamesake(anna);
    const stranger = await openTab({ as: await gatewayOf(0).tokenFor({ environmentId: other.environmentId, subscriberId: anna }) });
    const own = await openTab();
    const key = await fixture.deliver(anna, contentId);
    await announce([
      delivered(key, anna),
      { ...delivered(key, anna), event: { ...delivered(key, anna).event, environment_id: other.environmentId } },
    ]);
    await own.waitFor('message.delivered');
    const strangerContent = await other.addContent({ title: 'Yours' });
    const strangerKey = await other.deliver(anna, strangerContent);
    await announce([
      { ...delivered(strangerKey, anna), event: { ...delivered(strangerKey, anna).event, environment_id: other.environmentId } },
    ]);
    await stranger.waitFor('message.delivered');
    expect(idsOf(stranger, 'message.delivered')).toEqual([encodeMessageId(strangerKey, anna)]);
  });

  it('tells the other tabs of a change, also when it was made at another gateway', async () => {
    const key = await fixture.deliver(anna, contentId);
    const tab = await openTab({ gateway: 1 });
    await gatewayOf(0).call('POST', `messages/${encodeMessageId(key, anna)}/read`, token);
    await announce(await fixture.readOutbox());
    const [event] = await tab.waitFor('message.updated');
    expect(event?.data).toMatchObject({ id: encodeMessageId(key, anna), read_at: expect.any(String) });
    expect((await tab.waitFor('unread_count', 2)).at(-1)?.data).toEqual({ count: 0, capped: false });
  });

  it('tells tabs to read their list again when everything was changed at once', async () => {
    await fixture.deliver(anna, contentId);
    const tab = await openTab();
    await gatewayOf(1).call('POST', 'messages/read-all', token);
    await announce(await fixture.readOutbox());
    expect((await tab.waitFor('resync')).map((event) => event.data)).toEqual([{ reason: 'all_changed' }]);
    expect((await tab.waitFor('unread_count', 2)).at(-1)?.data).toEqual({ count: 0, capped: false });
  });

  describe('after a reconnect', () => {
    /** A tab that saw everything up to now and lost its connection. */
    async function leave(): Promise<string> {
      const tab = await openTab();
      const position = tab.lastEventId ?? '';
      await tab.close();
      return position;
    }

    it('brings what came meanwhile, at another gateway, in the order of delivery, even when no event came before', async () => {
      const position = await leave();
      const keys = [await fixture.deliver(anna, contentId), await fixture.deliver(anna, contentId), await fixture.deliver(anna, contentId)];
      const tab = await openTab({ gateway: 1, lastEventId: position });
      expect(idsOf(tab, 'message.delivered')).toEqual(keys.map((key) => encodeMessageId(key, anna)));
      expect(tab.ofKind('unread_count').at(-1)?.data).toEqual({ count: 3, capped: false });
    });

    it('goes on from each position that it gave out', async () => {
      await fixture.deliver(anna, contentId);
      const first = await openTab({ lastEventId: await leave() });
      await first.close();
      const second = await openTab({ lastEventId: first.lastEventId ?? '' });
      expect(second.response.status).toBe(200);
      expect(second.ofKind('resync')).toEqual([]);
    });

    it('brings a message that was committed late, behind the position', async () => {
      const position = await leave();
      const key = await fixture.deliver(anna, contentId);
      await fixture.redate(
        { subscriberId: anna, messageKey: key },
        new Date(Date.now() - (REPLAY_OVERLAP_SECONDS - 30) * 1_000).toISOString(),
      );
      const tab = await openTab({ lastEventId: position });
      expect(idsOf(tab, 'message.delivered')).toEqual([encodeMessageId(key, anna)]);
    });

    it('leaves out what was delivered long before, and brings what was changed since as an update', async () => {
      const [old, changed] = [await fixture.deliver(anna, contentId), await fixture.deliver(anna, contentId)];
      const longAgo = new Date(Date.now() - (REPLAY_OVERLAP_SECONDS + 60) * 1_000).toISOString();
      for (const messageKey of [old, changed]) await fixture.redate({ subscriberId: anna, messageKey }, longAgo);
      const position = await leave();
      await gatewayOf(0).call('POST', `messages/${encodeMessageId(changed, anna)}/unread`, token);
      await gatewayOf(0).call('POST', `messages/${encodeMessageId(changed, anna)}/read`, token);
      const tab = await openTab({ lastEventId: position });
      expect(tab.ofKind('message.delivered')).toEqual([]);
      expect(tab.ofKind('message.updated').map((event) => event.data)).toMatchObject([
        { id: encodeMessageId(changed, anna), read_at: expect.any(String) },
      ]);
    });

    it('tells a tab that missed too much to read its list again', async () => {
      const position = await leave();
      for (let count = 0; count <= REPLAY_MESSAGES_MAX; count += 1) await fixture.deliver(anna, contentId);
      const tab = await openTab({ lastEventId: position });
      expect(tab.ofKind('resync').map((event) => event.data)).toEqual([{ reason: 'too_much_missed' }]);
      expect(tab.ofKind('message.delivered')).toEqual([]);
    });

    it.each(['nonsense', '0', `99999999999999999:${NO_MESSAGE_KEY}`, '-1:x'])(
      'tells a tab with the position %s to read its list again',
      async (lastEventId) => {
        const tab = await openTab({ lastEventId });
        expect(tab.ofKind('resync').map((event) => event.data)).toEqual([{ reason: 'position_invalid' }]);
      },
    );

    it('loses nothing that is delivered while tabs connect and leave', async () => {
      const seen = new Set<unknown>();
      const keys: string[] = [];
      let position = await leave();
      for (let round = 0; round < 15; round += 1) {
        const key = newUuid();
        keys.push(key);
        const delivery = fixture.deliver(anna, contentId, { messageKey: key }).then(() => announce([delivered(key, anna)]));
        const tab = await openTab({ gateway: round % 2, lastEventId: position });
        if (round % 3 === 0) await delivery;
        for (const id of idsOf(tab, 'message.delivered')) seen.add(id);
        position = tab.lastEventId ?? position;
        await tab.close();
        await delivery;
      }
      const last = await openTab({ lastEventId: position });
      for (const id of idsOf(last, 'message.delivered')) seen.add(id);
      expect(seen).toEqual(new Set(keys.map((key) => encodeMessageId(key, anna))));
    });
  });

  it('refuses one stream more than a subscriber may hold, with an answer of its own, and takes it when one is gone', async () => {
    const [first] = [await openTab(), await openTab()];
    const refused = await openTab();
    expect(refused.response.status).toBe(429);
    expect(await refused.response.json()).toMatchObject({ code: 'inbox_stream_limit_reached', streams_max: 2 });
    await first?.close();
    const registry = gatewayOf(0).app.get(TabRegistry);
    await waitFor(() => registry.tabsOf({ environmentId: fixture.environmentId, subscriberId: anna }).size === 1);
    expect((await openTab()).response.status).toBe(200);
  });

  it('ends when the session token expires', async () => {
    const startedMs = Date.now() - 12 * 60 * 60 * 1_000 + 4_000;
    const dying = await gatewayOf(0).tokenFor({ environmentId: fixture.environmentId, subscriberId: anna }, new Date(startedMs));
    const tab = await openTab({ as: dying });
    expect({ status: tab.response.status, ended: tab.ended }).toEqual({ status: 200, ended: false });
    await waitFor(() => tab.ended, { timeoutMs: 15_000 });
  });

  it('opens by a single-use ticket in the URL, and goes on from a position there', async () => {
    const position = (await openTab()).lastEventId ?? '';
    const key = await fixture.deliver(anna, contentId);
    const answer = await fetch(`${gatewayOf(0).url}/v1/session/ticket`, { method: 'POST', headers: { authorization: `Bearer ${token}` } });
    const { ticket } = (await answer.json()) as { ticket: string };
    const url = `${gatewayOf(1).url}/v1/inbox/stream?ticket=${ticket}&last_event_id=${encodeURIComponent(position)}`;
    const tab = await SseClient.open(url, {});
    tabs.push(tab);
    await tab.waitFor('unread_count');
    expect(idsOf(tab, 'message.delivered')).toEqual([encodeMessageId(key, anna)]);
    const again = await SseClient.open(url, {});
    expect(again.response.status).toBe(401);
    expect(await again.response.json()).toMatchObject({ code: 'session_invalid' });
  });

  it('ends within five seconds when the subscriber is revoked on another gateway, and stays for the others', async () => {
    const [ben = ''] = await fixture.addSubscribers(1);
    const owner = { environmentId: fixture.environmentId, subscriberId: ben, externalId: 'ben' };
    const benTab = await openTab({ as: await gatewayOf(0).tokenFor(owner) });
    const annaTabs = [await openTab({ gateway: 0 }), await openTab({ gateway: 1 })];
    await gatewayOf(0).app.get(SubscriberRevocations).revoke(fixture.environmentId, 'customer');
    await waitFor(() => annaTabs.every((tab) => tab.ended), { timeoutMs: 5_000 });
    expect(benTab.ended).toBe(false);
    expect((await openTab({ gateway: 1 })).response.status).toBe(401);
  });

  it('keeps no tab of clients that left', async () => {
    const registry = gatewayOf(0).app.get(TabRegistry);
    const tab = await openTab();
    await tab.close();
    const owner = { environmentId: fixture.environmentId, subscriberId: anna };
    await waitFor(() => registry.tabsOf(owner).size === 0);
    expect(registry.tabsOf(owner).size).toBe(0);
  });

  it('keeps no tab of a client that left while it caught up', async () => {
    const registry = gatewayOf(0).app.get(TabRegistry);
    const owner = { environmentId: fixture.environmentId, subscriberId: anna };
    const leaving = new AbortController();
    await fixture.holdInboxes(async () => {
      const headers = { authorization: `Bearer ${token}` };
      const answer = fetch(`${gatewayOf(0).url}/v1/inbox/stream`, { headers, signal: leaving.signal });
      await waitFor(() => registry.tabsOf(owner).size === 1);
      await fixture.waitForLockWaiters();
      leaving.abort();
      await expect(answer).rejects.toThrow('aborted');
    });
    await waitFor(() => registry.tabsOf(owner).size === 0);
  });
});
