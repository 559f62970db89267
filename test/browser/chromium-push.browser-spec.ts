/**
 * The service worker in Chromium: the very payload that Belfry sent, as its push service decrypted it, is given to the real worker. What
 * the worker tells comes back through the gateway into the counts of the run. (That a browser can read what we encrypt, and that a
 * person's click opens a window, is what the tests in Firefox show: Chromium subscribes at its maker's service alone.)
 */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser, BrowserContext, CDPSession, Worker } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RunResource } from '#campaigns';
import { type FakeDevice, type FakePushService, makeOwnedDirectory, startFakePushService, waitFor } from '#testing';
import { openInbox } from '../support/api-client.js';
import { showLogsOnFailure } from '../support/report-failure.js';
import { STACK_FOLDER_PREFIX, undoAll } from '../support/stack.js';
import { type StandaloneStack, startStandaloneStack } from '../support/standalone-stack.js';
import { browserUnderTest } from './support/browser-under-test.js';
import { openContext, START_MS_MAX, startChromium, STEP_MS_MAX } from './support/chromium.js';
import { InboxPage } from './support/inbox-page.js';

const READER = 'reader-1';
/** Often enough to be quick, and seldom enough to leave the machine to what is waited for. */
const POLL_MS = 100;

const { executablePath, skipReason } = browserUnderTest('chromium');

/** A notification as the browser shows it. */
interface Shown {
  readonly title: string;
  readonly body: string;
  readonly tag: string;
  readonly icon: string;
  readonly actions: readonly string[];
}

/** As `PushSubscription.toJSON()` tells it. */
interface Subscription {
  readonly endpoint: string;
  readonly expirationTime: null;
  readonly keys: { readonly p256dh: string; readonly auth: string };
}

describe.skipIf(skipReason !== undefined)('the service worker in Chromium', () => {
  const undo: (() => Promise<unknown>)[] = [];
  let service: FakePushService;
  let stack: StandaloneStack;
  let browser: Browser;
  let context: BrowserContext;
  let inbox: InboxPage;
  let protocol: CDPSession;
  let worker: Worker;
  let registrationId: string;
  let vapidKey: string;
  /** What the gateway knows of the reader's browser. */
  let subscription: Subscription;
  let deviceId: string;

  beforeAll(async () => {
    service = await startFakePushService({ vendors: ['fcm'] });
    undo.push(() => service.close());
    const folder = await makeOwnedDirectory(STACK_FOLDER_PREFIX);
    undo.push(() => rm(folder, { recursive: true, force: true }));
    await writeFile(join(folder, 'ca.pem'), service.ca);
    stack = await startStandaloneStack({
      PUSH_EXTRA_ORIGINS: `${service.origins.fcm}=fcm`,
      PUSH_EXTRA_CA_FILE: join(folder, 'ca.pem'),
      BELFRY_WEB_CLIENT: 'true',
    });
    undo.push(() => stack.stop());
    await registerDevice();
    browser = await startChromium(executablePath);
    undo.push(() => browser.close());
    ({ context } = await openContext(browser));
    await context.grantPermissions(['notifications'], { origin: stack.url });
    inbox = new InboxPage(await context.newPage(), stack);
    await inbox.logIn(READER);
    await inbox.live();
    await startWorker();
  }, START_MS_MAX);
  beforeEach(() => showLogsOnFailure(stack));
  afterAll(() => undoAll(undo));

  /** Subscribes at the push service with keys of its own, as a browser does. */
  function subscribe(): FakeDevice {
    return service.createDevice({ vendor: 'fcm', vapidPublicKey: vapidKey });
  }

  /** Registers a device for the reader. */
  async function registerDevice(): Promise<void> {
    const reader = await openInbox(stack.url, stack.keys, READER);
    vapidKey = (await reader.get<{ public_key: string }>('/v1/push/vapid-key')).public_key;
    subscription = toSubscription(subscribe());
    deviceId = (await reader.post<{ id: string }>('/v1/push/subscriptions', { body: subscription })).id;
  }

  /** The worker of the page, as the client registers it, and a line to it. */
  async function startWorker(): Promise<void> {
    protocol = await context.newCDPSession(inbox.page);
    const registered = new Promise<string>((resolve) => {
      protocol.on('ServiceWorker.workerRegistrationUpdated', ({ registrations }) => {
        const found = registrations.find(({ scopeURL }) => scopeURL === `${stack.url}/`);
        if (found !== undefined) resolve(found.registrationId);
      });
    });
    await protocol.send('ServiceWorker.enable');
    const started = context.waitForEvent('serviceworker');
    await inbox.page.evaluate(
      `navigator.serviceWorker.register('/sdk/v1/belfry-worker.js', { scope: '/' }).then(() => navigator.serviceWorker.ready).then(() => true)`,
    );
    worker = await started;
    registrationId = await registered;
    await waitFor(async () => (await worker.evaluate('self.registration.active?.state')) === 'activated', { timeoutMs: STEP_MS_MAX });
    // Without a person's click Chromium neither opens a window for a worker nor brings one to the front: what it was asked for is noted.
    await worker.evaluate(`
      self.opened = [];
      self.focused = [];
      self.shows = 0;
      self.clients.openWindow = async (url) => { self.opened.push(url); return null; };
      WindowClient.prototype.focus = async function () { self.focused.push(this.url); return this; };
      const show = ServiceWorkerRegistration.prototype.showNotification;
      ServiceWorkerRegistration.prototype.showNotification = async function (...args) { await show.apply(this, args); self.shows += 1; };
      true`);
  }

  /**
   * Gives a push to the worker and waits until it was shown. Nobody may ask for notifications meanwhile: Chromium takes one that is noted
   * but not yet on the screen for closed, and forgets it.
   */
  async function deliver(data: string): Promise<void> {
    const before = await worker.evaluate<number>('self.shows');
    await protocol.send('ServiceWorker.deliverPushMessage', { origin: stack.url, registrationId, data });
    const isShown = async (): Promise<boolean> => (await worker.evaluate<number>('self.shows')) > before;
    await waitFor(isShown, { what: 'the notification', timeoutMs: STEP_MS_MAX, pollMs: POLL_MS });
  }

  /** Triggers a campaign on push. @returns its run and the plaintext that reached the device */
  async function campaign(content: object): Promise<{ runId: string; payload: string }> {
    const before = service.received.length;
    const body = { channels: ['push'], audience: { all: true }, ...content };
    const { id } = await stack.api().post<{ id: string }>('/v1/campaigns', { body });
    const { id: runId } = await stack.api().post<{ id: string }>(`/v1/campaigns/${id}/trigger`);
    const message = await waitFor(() => service.received[before], { what: 'the push message', timeoutMs: STEP_MS_MAX });
    return { runId, payload: message.payload ?? '' };
  }

  function notifications(): Promise<Shown[]> {
    return worker.evaluate(`self.registration.getNotifications().then((shown) => shown.map(({ title, body, tag, icon, actions }) =>
      ({ title, body, tag, icon, actions: actions.map(({ action }) => action) })))`);
  }

  async function waitForNotifications(count: number): Promise<Shown[]> {
    const areShown = async (): Promise<Shown[] | false> => {
      const shown = await notifications();
      return shown.length === count && shown;
    };
    return waitFor(areShown, { what: `${count} notifications`, timeoutMs: STEP_MS_MAX, pollMs: POLL_MS });
  }

  /** Waits until the worker has asked for exactly this window since the last time. */
  async function waitForOpened(url: string): Promise<void> {
    const isAsked = async (): Promise<boolean> => (await worker.evaluate<number>('self.opened.length')) > 0;
    await waitFor(isAsked, { what: `a window for ${url}`, timeoutMs: STEP_MS_MAX, pollMs: POLL_MS });
    expect(await worker.evaluate('self.opened.splice(0)')).toEqual([url]);
  }

  /** What the browser tells the worker when a person clicks or closes the one notification that is shown. */
  async function dispatch(type: 'notificationclick' | 'notificationclose', action = ''): Promise<void> {
    await worker.evaluate(`self.registration.getNotifications().then(([notification]) => {
      if (${JSON.stringify(type)} === 'notificationclose') notification.close();
      self.dispatchEvent(new NotificationEvent(${JSON.stringify(type)}, { notification, action: ${JSON.stringify(action)} }));
    })`);
  }

  /** Waits until exactly these kinds are counted for the run. */
  async function engagement(runId: string, expected: Record<string, number>): Promise<void> {
    const isCounted = async (): Promise<true> => {
      const run = await stack.api().get<RunResource>(`/v1/runs/${runId}`);
      const counts = Object.entries(run.engagement_by_channel.push ?? {}).filter(([, count]) => count > 0);
      expect(Object.fromEntries(counts)).toEqual(expected);
      return true;
    };
    await waitFor(isCounted, { what: `the engagement ${JSON.stringify(expected)}`, timeoutMs: STEP_MS_MAX, pollMs: POLL_MS });
  }

  it('shows what Belfry sent, leads where it says, and both are counted', async () => {
    const { runId, payload } = await campaign({
      title: 'Für dich: 20 % 🎉',
      body: 'Nur heute.',
      url: '/inbox?from=push',
      icon: '/inbox/bell.svg',
      actions: [
        { id: 'see', title: 'Ansehen', url: '/inbox?see' },
        { id: 'later', title: 'Später' },
      ],
    });
    await deliver(payload);
    const [shown] = await waitForNotifications(1);
    expect(shown).toMatchObject({ title: 'Für dich: 20 % 🎉', body: 'Nur heute.', tag: expect.stringMatching(/^msg_/) as string });
    expect(shown).toMatchObject({ icon: `${stack.url}/inbox/bell.svg`, actions: ['see', 'later'] });
    await engagement(runId, { delivered: 1, shown: 1 });
    await dispatch('notificationclick', 'see');
    await engagement(runId, { delivered: 1, shown: 1, clicked: 1 });
    await waitForOpened(`${stack.url}/inbox?see`);
    await waitForNotifications(0);
  });

  it('brings the window to the front that shows the place already', async () => {
    const { runId, payload } = await campaign({ title: 'You are looking at it', url: '/inbox' });
    await deliver(payload);
    await engagement(runId, { delivered: 1, shown: 1 });
    await dispatch('notificationclick');
    await engagement(runId, { delivered: 1, shown: 1, clicked: 1 });
    expect(await worker.evaluate('[self.focused.splice(0), self.opened.splice(0)]')).toEqual([[`${stack.url}/inbox`], []]);
    await waitForNotifications(0);
  });

  it('shows a message once that came twice, and counts it once', async () => {
    const { runId, payload } = await campaign({ title: 'Only once' });
    await deliver(payload);
    await engagement(runId, { delivered: 1, shown: 1 });
    await deliver(payload);
    const later = await campaign({ title: 'Something else' });
    await deliver(later.payload);
    await engagement(later.runId, { delivered: 1, shown: 1 });
    expect((await waitForNotifications(2)).map(({ title }) => title).toSorted()).toEqual(['Only once', 'Something else']);
    await engagement(runId, { delivered: 1, shown: 1 });
    await worker.evaluate('self.registration.getNotifications().then((shown) => shown.forEach((one) => one.close()))');
    await waitForNotifications(0);
  });

  it('counts a notification that was put away, and leads nowhere', async () => {
    const { runId, payload } = await campaign({ title: 'Not interested' });
    await deliver(payload);
    await engagement(runId, { delivered: 1, shown: 1 });
    await dispatch('notificationclose');
    await engagement(runId, { delivered: 1, shown: 1, dismissed: 1 });
    await waitForNotifications(0);
    expect(await worker.evaluate('self.opened.splice(0)')).toEqual([]);
  });

  it.each([
    '',
    'not JSON',
    '{"web_push":8030,"notification":{}}',
    '{"web_push":8030,"notification":{"title":7,"navigate":"javascript:alert(1)"}}',
  ])('shows something sensible for %j', async (data) => {
    await deliver(data);
    const [shown] = await waitForNotifications(1);
    expect(shown).toMatchObject({ title: '127.0.0.1', body: 'There is something new for you.' });
    await dispatch('notificationclick');
    await waitForNotifications(0);
    await waitForOpened(`${stack.url}/`);
  });

  it('keeps receipts while the gateway is away, and hands them over when it is back', async () => {
    const { runId, payload } = await campaign({ title: 'Away for a while' });
    await stack.end();
    await deliver(payload);
    await waitForNotifications(1);
    await waitFor(async () => (await waitingReceipts()) === 2, { what: 'both receipts to wait', timeoutMs: STEP_MS_MAX, pollMs: POLL_MS });
    await stack.start();
    await inbox.page.evaluate(
      `navigator.serviceWorker.ready.then((registration) => registration.active.postMessage({ type: 'belfry:flush' }))`,
    );
    await engagement(runId, { delivered: 1, shown: 1 });
    expect(await waitingReceipts()).toBe(0);
  });

  it('tells the gateway without a session which subscription took the place of its own', async () => {
    const settings = { gateway: stack.url, publicKey: stack.keys.publicKey, vapidKey, deviceId, subscription };
    await store<string>('settings', `put(${JSON.stringify(settings)}, 'push')`, 'readwrite');
    const device = subscribe();
    const renewed = toSubscription(device);
    // No push service of ours can replace a subscription of Chromium's: the worker is told of one as the browser would tell it.
    await worker.evaluate(`self.dispatchEvent(Object.assign(new Event('pushsubscriptionchange'),
      { waitUntil: () => undefined, newSubscription: { toJSON: () => (${JSON.stringify(renewed)}) } }))`);
    const isNoted = async (): Promise<Subscription | false> => {
      const noted = await store<{ deviceId: string; subscription: Subscription }>('settings', `get('push')`);
      return noted.deviceId !== deviceId && noted.subscription;
    };
    expect(await waitFor(isNoted, { what: 'the renewal', timeoutMs: STEP_MS_MAX, pollMs: POLL_MS })).toEqual(renewed);
    const before = service.received.length;
    const { runId } = await campaign({ title: 'Found again' });
    const isFinished = async (): Promise<boolean> => (await stack.api().get<RunResource>(`/v1/runs/${runId}`)).state === 'finished';
    await waitFor(isFinished, { what: 'the end of the run', timeoutMs: STEP_MS_MAX, pollMs: POLL_MS });
    expect(service.received.slice(before).map((message) => message.deviceId)).toEqual([device.deviceId]);
  });

  it('broke no rule of Web Push on the way', () => {
    expect(service.violations).toEqual([]);
  });

  /** How many receipts wait on the device. */
  function waitingReceipts(): Promise<number> {
    return store('receipts', 'count()');
  }

  /** Asks the database that page and worker share on the device. */
  function store<Result>(name: string, request: string, mode = 'readonly'): Promise<Result> {
    return worker.evaluate(`new Promise((resolve, reject) => {
      const opening = indexedDB.open('belfry');
      opening.onerror = () => reject(opening.error);
      opening.onsuccess = () => {
        const transaction = opening.result.transaction(${JSON.stringify(name)}, ${JSON.stringify(mode)});
        const asked = transaction.objectStore(${JSON.stringify(name)}).${request};
        transaction.onerror = () => reject(transaction.error);
        transaction.oncomplete = () => { opening.result.close(); resolve(asked.result); };
      };
    })`);
  }
});

function toSubscription({ endpoint, p256dh, auth }: FakeDevice): Subscription {
  return { endpoint, expirationTime: null, keys: { p256dh, auth } };
}
