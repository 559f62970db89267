import { type Notification, Novu, type NovuOptions } from '@novu/js';
import { canonicalize } from '@tufjs/canonical-json';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signSubscriberId } from '#identity';
import { SubscriberStore } from '#subscribers';
import { NovuGateway, type NovuTenant } from './testing/novu-gateway.js';

/** What calls of the client give: it never throws. */
interface Outcome<Data> {
  readonly data?: Data;
  readonly error?: { readonly message: string; readonly originalError: Error & { readonly status?: number } };
}

let gateway: NovuGateway;
let tenant: NovuTenant;
beforeAll(async () => {
  gateway = await NovuGateway.open();
  tenant = await gateway.seed({ kind: 'production' });
});
afterAll(() => gateway?.close());

/** The published client of a person with a good hash, as the customer's page makes it. */
async function clientOf(subscriberId: string, options: Partial<NovuOptions> = {}): Promise<Novu> {
  return new Novu({
    apiUrl: await gateway.url(),
    applicationIdentifier: tenant.publicKey,
    subscriber: { subscriberId },
    subscriberHash: signSubscriberId(subscriberId, tenant.secret),
    useCache: false,
    ...options,
  } as NovuOptions);
}

/** A client of a person with so many messages, oldest first. */
async function inboxOf(subscriberId: string, count: number): Promise<{ novu: Novu; ids: string[] }> {
  const novu = await clientOf(subscriberId);
  dataOf(await novu.notifications.count());
  return { novu, ids: await gateway.deliver(tenant, subscriberId, { count }) };
}

function dataOf<Data>({ data, error }: Outcome<Data>): Data {
  if (data === undefined) throw error?.originalError ?? new Error('the client gave neither data nor an error');
  return data;
}

const idsOf = (notifications: readonly Notification[]) => notifications.map(({ id }) => id);

describe('@novu/js, unmodified, in a production environment', () => {
  it('opens a session for a person by object, by text and by the older member', async () => {
    for (const person of [
      { subscriber: { subscriberId: 'by-any-name' } },
      { subscriber: 'by-any-name' },
      { subscriberId: 'by-any-name' },
    ]) {
      const novu = await clientOf('by-any-name', { subscriber: undefined, ...person });
      expect(dataOf(await novu.notifications.list())).toEqual({ notifications: [], hasMore: false, filter: {} });
    }
  });

  it('tells about the person, and the gateway keeps it', async () => {
    const subscriber = {
      subscriberId: 'told',
      firstName: 'Anna',
      email: 'anna@example.com',
      locale: 'de-AT',
      timezone: 'Europe/Vienna',
      data: { seats: 3 },
    };
    dataOf(await (await clientOf('told', { subscriber })).notifications.count());
    expect(await new SubscriberStore(gateway.test.database).findByExternalId(tenant.environmentId, 'told')).toMatchObject({
      verified: true,
      locale: 'de-AT',
      timeZone: 'Europe/Vienna',
      attributes: { first_name: 'Anna', email: 'anna@example.com', seats: 3 },
    });
  });

  it('lists page by page and filters', async () => {
    const { novu, ids } = await inboxOf('reader', 5);
    const newest = ids.toReversed();
    const first = dataOf(await novu.notifications.list({ limit: 2 }));
    expect(idsOf(first.notifications)).toEqual(newest.slice(0, 2));
    expect(first).toMatchObject({ hasMore: true });
    const second = dataOf(await novu.notifications.list({ limit: 3, after: newest[1] }));
    expect({ ids: idsOf(second.notifications), hasMore: second.hasMore }).toEqual({ ids: newest.slice(2), hasMore: false });
    expect(idsOf(dataOf(await novu.notifications.list({ limit: 2, offset: 3 })).notifications)).toEqual(newest.slice(3));
    dataOf(await novu.notifications.read({ notificationId: newest[0] ?? '' }));
    expect(idsOf(dataOf(await novu.notifications.list({ read: false, archived: false })).notifications)).toEqual(newest.slice(1));
    expect(idsOf(dataOf(await novu.notifications.list({ read: true })).notifications)).toEqual(newest.slice(0, 1));
    expect(dataOf(await novu.notifications.list({ tags: ['offers'] })).notifications).toEqual([]);
    expect(dataOf(await novu.notifications.list({ tags: { and: [{ or: ['a', 'b'] }, { or: ['c'] }] } })).notifications).toEqual([]);
  });

  it('counts by one filter and by several', async () => {
    const { novu, ids } = await inboxOf('counter', 3);
    dataOf(await novu.notifications.archive({ notificationId: ids[0] ?? '' }));
    expect(dataOf(await novu.notifications.count({ read: false }))).toEqual({ count: 2, filter: { read: false } });
    const { counts } = dataOf(await novu.notifications.count({ filters: [{ read: false }, { archived: true }, { seen: false }] }));
    expect(counts.map(({ count }) => count)).toEqual([2, 1, 2]);
  });

  it('moves a notification through its states, by its id and by its own methods', async () => {
    const { novu, ids } = await inboxOf('mover', 1);
    const [notificationId = ''] = ids;
    const states = async () => {
      const [notification] = dataOf(await novu.notifications.list()).notifications;
      return { isSeen: notification?.isSeen, isRead: notification?.isRead, isArchived: notification?.isArchived };
    };
    const [fresh] = dataOf(await novu.notifications.list()).notifications;
    expect(dataOf((await fresh?.seen()) ?? {})).toMatchObject({ id: notificationId, isSeen: true });
    expect(await states()).toEqual({ isSeen: true, isRead: false, isArchived: false });
    for (const [change, state] of [
      ['read', { isSeen: true, isRead: true, isArchived: false }],
      ['unread', { isSeen: true, isRead: false, isArchived: false }],
      ['archive', { isSeen: true, isRead: true, isArchived: true }],
      ['unarchive', { isSeen: true, isRead: true, isArchived: false }],
    ] as const) {
      expect(dataOf(await novu.notifications[change]({ notificationId })), change).toMatchObject({ id: notificationId, ...state });
      expect(await states(), change).toEqual(state);
    }
    const [notification] = dataOf(await novu.notifications.list()).notifications;
    expect(dataOf((await notification?.unread()) ?? {})).toMatchObject({ id: notificationId, isRead: false });
  });

  it('changes all at once', async () => {
    const { novu, ids } = await inboxOf('tidier', 3);
    const count = async (filter: object) => dataOf(await novu.notifications.count(filter)).count;
    expect((await novu.notifications.seenAll({ notificationIds: ids.slice(0, 1) })).error).toBeUndefined();
    expect(await count({ seen: false })).toBe(2);
    expect((await novu.notifications.seenAll()).error).toBeUndefined();
    expect(await count({ seen: false })).toBe(0);
    dataOf(await novu.notifications.read({ notificationId: ids[0] ?? '' }));
    expect((await novu.notifications.archiveAllRead()).error).toBeUndefined();
    expect(await count({ archived: true })).toBe(1);
    expect((await novu.notifications.readAll()).error).toBeUndefined();
    expect(await count({ read: false })).toBe(0);
    expect((await novu.notifications.archiveAll()).error).toBeUndefined();
    expect(await count({ archived: false })).toBe(0);
  });

  it('shows the global preference', async () => {
    const preferences = dataOf(await (await clientOf('chooser')).preferences.list());
    expect(preferences).toMatchObject([{ level: 'global', enabled: true, channels: { in_app: true } }]);
  });

  it('opens a session with a context whose hash is made as its own server library does, whatever the order of the members', async () => {
    const context = { tenant: { id: 'acme-corp', data: { plan: 'enterprise', note: 'a\nb "c" \\ é', name: 'Acme' } } };
    const contextHash = signSubscriberId(canonicalize(context), tenant.secret);
    const reordered = { tenant: { data: { name: 'Acme', note: 'a\nb "c" \\ é', plan: 'enterprise' }, id: 'acme-corp' } };
    for (const sent of [context, reordered]) {
      const novu = await clientOf('member', { context: sent, contextHash });
      expect(dataOf(await novu.notifications.count({ read: false }))).toMatchObject({ count: 0 });
    }
    const { error } = await (await clientOf('member', { context: { tenant: 'evil-corp' }, contextHash })).notifications.list();
    expect(error?.originalError).toMatchObject({ status: 400 });
  });

  it('is told what is wrong where it has no right to anything', async () => {
    const id = 'stranger';
    for (const options of [
      { subscriberHash: undefined },
      { subscriberHash: signSubscriberId('somebody else', tenant.secret) },
      { applicationIdentifier: 'pk_live_unknown' },
    ]) {
      const { data, error } = await (await clientOf(id, options)).notifications.list();
      expect(data).toBeUndefined();
      expect(error?.originalError).toMatchObject({ status: 400, message: expect.stringContaining('Please provide a valid HMAC hash') });
    }
  });

  it('is told what is not served, and nothing happens', async () => {
    const { novu, ids } = await inboxOf('asker', 1);
    const [notificationId = ''] = ids;
    const outcomes = [
      novu.notifications.delete({ notificationId }),
      novu.notifications.deleteAll(),
      novu.notifications.snooze({ notificationId, snoozeUntil: '2099-01-01T00:00:00.000Z' }),
      novu.notifications.unsnooze({ notificationId }),
      novu.notifications.completePrimary({ notificationId }),
      novu.preferences.update({ workflowId: 'news', channels: { in_app: false } }),
      novu.subscriptions.list({ topicKey: 'news' }),
    ];
    for (const { error } of await Promise.all(outcomes)) {
      expect(error?.originalError).toMatchObject({ status: 404, message: expect.stringContaining('not served') });
    }
    expect(dataOf(await novu.notifications.list()).notifications).toMatchObject([{ id: notificationId, isRead: false, isSeen: false }]);
  });
});
