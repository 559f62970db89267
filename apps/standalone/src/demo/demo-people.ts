import { createHmac } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FakeDevice } from '#testing/push-service';
import { ApiClient } from './api-client.js';
import type { DemoSubscriber } from './demo-audience.js';
import type { Engagement, Run } from './demo-api.js';
import type { DemoPush, ReadMessage } from './demo-push.js';
import { type DemoScreen, formatCount, progressBar } from './demo-screen.js';

/** The keys of the environment that the demo works in. */
export interface DemoKeys {
  readonly publicKey: string;
  readonly apiKey: string;
  readonly identitySecret: string;
}

/** People with devices: one of four, up to so many, because each registers over the API as a browser would. */
const DEVICE_OWNERS_MAX = 300;
const DEVICE_OWNER_SHARE = 0.25;
/** Every so manyth owner has a second device. */
const SECOND_DEVICE_EVERY = 6;
/** Calls under way at once. */
const CALLS_AT_ONCE = 16;

/** Items of one engagement call. */
const ENGAGEMENT_ITEMS_MAX = 100;
/** People who open their inbox and read the message. */
const INBOX_READERS_MAX = 40;
const ENGAGEMENT_WAIT_MS = 30_000;
const POLL_MS = 100;

/** What a customer's server does for its page: signs the subscriber's id and opens a session with it. */
export async function openSession(baseUrl: string, keys: DemoKeys, subscriberId: string): Promise<ApiClient> {
  const subscriber_hash = createHmac('sha256', keys.identitySecret).update(subscriberId).digest('hex');
  const body = { public_key: keys.publicKey, subscriber_id: subscriberId, subscriber_hash };
  const session = await new ApiClient(baseUrl).request<{ token: string }>('POST', '/v1/session', body);
  return new ApiClient(baseUrl, session.token);
}

/** Lets a part of the people allow push: each registers the own devices by the own session. @returns devices and their owners */
export async function registerDevices(
  people: readonly DemoSubscriber[],
  parts: { baseUrl: string; keys: DemoKeys; push: DemoPush; screen: DemoScreen },
): Promise<{ devices: readonly FakeDevice[]; owners: number }> {
  const { baseUrl, keys, push, screen } = parts;
  const owners = Math.min(DEVICE_OWNERS_MAX, Math.ceil(people.length * DEVICE_OWNER_SHARE));
  const step = Math.floor(people.length / owners);
  const path = `/v1/push/vapid-key?public_key=${keys.publicKey}`;
  const { public_key: vapidPublicKey } = await new ApiClient(baseUrl).request<{ public_key: string }>('GET', path);
  const chosen = Array.from({ length: owners }, (_, index) => people[index * step] as DemoSubscriber);
  const devicesOf = (index: number): number => (index % SECOND_DEVICE_EVERY === 0 ? 2 : 1);
  const devices = await push.createDevices(
    chosen.reduce((sum, _, index) => sum + devicesOf(index), 0),
    vapidPublicKey,
  );
  const waiting = [...devices];
  await eachOf(chosen, async ({ id }, index) => {
    const own = waiting.splice(0, devicesOf(index));
    const session = await openSession(baseUrl, keys, id);
    for (const { endpoint, p256dh, auth } of own) {
      await session.request('POST', '/v1/push/subscriptions', { endpoint, expirationTime: null, keys: { p256dh, auth } });
    }
    const registered = devices.length - waiting.length;
    screen.live(`registering devices ${progressBar(registered / devices.length)}`, `${formatCount(registered)} of ${devices.length}`);
  });
  return { devices, owners };
}

/** Kinds that a person did, by the place of the message in the list: nobody is asked, but each run of the demo has the same people. */
export function kindsOf(index: number): string[] {
  if (index % 10 === 9) return ['delivered'];
  if (index % 4 === 1) return ['delivered', 'shown', 'clicked'];
  return index % 7 === 2 ? ['delivered', 'shown', 'dismissed'] : ['delivered', 'shown'];
}

/** Sends back what the devices would report, by the receipts that they read. @returns how many people did what, as it must be counted */
export async function reportEngagement(baseUrl: string, messages: readonly ReadMessage[]): Promise<Readonly<Record<string, number>>> {
  const items = messages.flatMap((message, index) => kindsOf(index).map((kind) => ({ message, kind })));
  const batches = Array.from({ length: Math.ceil(items.length / ENGAGEMENT_ITEMS_MAX) }, (_, index) =>
    items.slice(index * ENGAGEMENT_ITEMS_MAX, (index + 1) * ENGAGEMENT_ITEMS_MAX),
  );
  const page = new ApiClient(baseUrl);
  await eachOf(batches, async (batch) => {
    await page.request('POST', '/v1/engagement', { items: batch.map(({ message, kind }) => ({ receipt: message.receipt, kind })) });
  });
  const people = new Map<string, Set<string>>();
  for (const { message, kind } of items) people.set(kind, (people.get(kind) ?? new Set<string>()).add(message.messageId));
  return Object.fromEntries([...people].map(([kind, ids]) => [kind, ids.size]));
}

/** Lets some people open their inbox and read the message that leads to `url`. @returns how many read it */
export async function readInboxes(
  baseUrl: string,
  keys: DemoKeys,
  { people, url }: { people: readonly DemoSubscriber[]; url: string },
): Promise<number> {
  const readers = people.filter((person) => !person.unsubscribed).slice(-INBOX_READERS_MAX);
  let read = 0;
  await eachOf(readers, async ({ id }) => {
    const inbox = await openSession(baseUrl, keys, id);
    const { data } = await inbox.request<{ data: readonly { id: string; url: string | null }[] }>('GET', '/v1/inbox/messages');
    const message = data.find((candidate) => candidate.url === url);
    if (message === undefined) return;
    await inbox.request('POST', `/v1/inbox/messages/${message.id}/read`);
    read += 1;
  });
  return read;
}

/** Waits until the run counts what was reported: it travels through the event log. @returns the run as it is then */
export async function awaitEngagement(
  client: ApiClient,
  runId: string,
  expected: { push: Readonly<Record<string, number>>; inboxRead: number },
): Promise<Run> {
  const isCounted = ({ inbox, push }: Engagement): boolean =>
    inbox['read'] === expected.inboxRead && Object.entries(expected.push).every(([kind, count]) => push[kind] === count);
  const deadlineMs = performance.now() + ENGAGEMENT_WAIT_MS;
  for (;;) {
    const run = await client.request<Run>('GET', `/v1/runs/${runId}`);
    if (isCounted(run.engagement_by_channel)) return run;
    if (performance.now() > deadlineMs) throw new Error(`The engagement was not counted within ${ENGAGEMENT_WAIT_MS / 1_000} s.`);
    await sleep(POLL_MS);
  }
}

async function eachOf<Item>(items: readonly Item[], work: (item: Item, index: number) => Promise<void>): Promise<void> {
  const waiting = items.entries();
  const worker = async (): Promise<void> => {
    for (const [index, item] of waiting) await work(item, index);
  };
  await Promise.all(Array.from({ length: Math.min(CALLS_AT_ONCE, items.length) }, worker));
}
