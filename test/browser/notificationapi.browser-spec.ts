/**
 * The published browser packages of NotificationAPI, unmodified, against Belfry in a production environment. `notificationapi-js-client-sdk`
 * is told the address by its documented options `restBaseURL` and `websocket`, `@notificationapi/core` by `host` and `websocketHost`; as core
 * speaks https and wss alone, a TLS front stands before the gateway, as it does in production.
 */
import { createHmac } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type OtlpReceiver, waitFor } from '#testing';
import { ApiProblem, openInbox } from '../support/api-client.js';
import { showLogsOnFailure } from '../support/report-failure.js';
import type { StandaloneStack } from '../support/standalone-stack.js';
import { browserUnderTest } from './support/browser-under-test.js';
import { START_MS_MAX, STEP_MS_MAX } from './support/chromium.js';
import { ForeignClients } from './support/foreign-clients.js';
import { startTlsFront, type TlsFront } from './support/vendor-page.js';

const OLDER_PACKAGE = 'node_modules/notificationapi-js-client-sdk/dist/notificationapi-js-client-sdk.js';
const CORE_PACKAGE = 'node_modules/@notificationapi/core/dist/main.js';
const TITLE = '.notificationapi-notification-title';
const POLL_MS = 100;

const { executablePath, skipReason } = browserUnderTest('chromium');

/** The page of a customer: the package's script as it is, and a place for its bell. */
const PAGES = {
  '/older': `<!doctype html><title>older</title><div id="bell"></div><script src="/older.js"></script>`,
  '/core': `<!doctype html><title>core</title><script type="module">import { NotificationAPIClientSDK } from '/core.js'; window.sdk = NotificationAPIClientSDK;</script>`,
};

describe.skipIf(skipReason !== undefined)("NotificationAPI's browser packages", () => {
  const hashes = new Set<string>();
  let clients: ForeignClients;
  let receiver: OtlpReceiver;
  let stack: StandaloneStack;
  let front: TlsFront | undefined;

  beforeAll(async () => {
    const files = new Map([
      ...Object.entries(PAGES),
      ['/older.js', await readFile(OLDER_PACKAGE, 'utf8')],
      ['/core.js', await readFile(CORE_PACKAGE, 'utf8')],
    ]);
    clients = await ForeignClients.start({ executablePath, files, switches: ['--ignore-certificate-errors'] });
    ({ receiver, stack } = clients);
    front = await startTlsFront(stack.url);
  }, START_MS_MAX);
  beforeEach(() => showLogsOnFailure(stack));
  afterAll(async () => {
    await front?.close();
    await clients?.stop();
  });

  /** What the customer's server makes for its page. */
  function hashOf(id: string): string {
    const hash = createHmac('sha256', stack.keys.identitySecret).update(id).digest('base64');
    hashes.add(hash);
    return hash;
  }

  const openPage = (path: keyof typeof PAGES): Promise<Page> => clients.openPage(path);

  /** The older client on its page, as its documentation sets it up. */
  async function startOlder(id: string, userIdHash = hashOf(id), inapp: object = { root: 'bell', inline: true }): Promise<Page> {
    const page = await openPage('/older');
    const options = {
      clientId: stack.keys.publicKey,
      userId: id,
      userIdHash,
      restBaseURL: stack.url,
      websocket: stack.url.replace('http', 'ws'),
    };
    await page.evaluate(`window.client = new NotificationAPI(${JSON.stringify(options)}); client.showInApp(${JSON.stringify(inapp)})`);
    return page;
  }

  const connected = (page: Page) =>
    waitFor(() => page.evaluate<boolean>('client.websocket.readyState === WebSocket.OPEN'), {
      what: 'the WebSocket',
      timeoutMs: STEP_MS_MAX,
      pollMs: POLL_MS,
    });

  const send = (id: string, title: string): Promise<void> => clients.send(id, title);

  const titlesOn = (page: Page) => page.locator(TITLE).allInnerTexts();

  async function shows(page: Page, ...titles: string[]): Promise<void> {
    const areShown = async (): Promise<true> => {
      expect(await titlesOn(page)).toEqual(titles);
      return true;
    };
    await waitFor(areShown, { what: `the titles ${JSON.stringify(titles)}`, timeoutMs: STEP_MS_MAX, pollMs: POLL_MS });
  }

  describe('notificationapi-js-client-sdk', () => {
    it('identifies, and shows a message that is sent while it is connected', async () => {
      const page = await startOlder('older:1');
      await connected(page);
      await page.evaluate(`client.identify({ id: 'older:1', email: 'older@example.com', number: '+4367612345' })`);
      const { attributes } = await stack.api().get<{ attributes: object }>('/v1/subscribers/older%3A1');
      expect(attributes).toEqual({ email: 'older@example.com', number: '+4367612345' });
      await send('older:1', 'First <b>& only</b>');
      await shows(page, 'First <b>& only</b>');
      await send('older:1', 'Second');
      await shows(page, 'Second', 'First <b>& only</b>');
      expect(await page.locator('.notificationapi-notification b').count()).toBe(0);
    });

    it('shows what is in the inbox already, counts it on its bell, and marks it as read', async () => {
      const inbox = await openInbox(stack.url, stack.keys, 'older-2');
      for (const title of ['One', 'Two']) await send('older-2', title);
      const unread = async (): Promise<number> => (await inbox.get<{ count: number }>('/v1/inbox/unread-count')).count;
      await waitFor(async () => (await unread()) === 2, { timeoutMs: STEP_MS_MAX, pollMs: POLL_MS });
      const page = await startOlder('older-2', hashOf('older-2'), { root: 'bell' });
      const badge = page.locator('.notificationapi-unread:not(.hidden)');
      await waitFor(async () => (await badge.innerText()) === '2', { what: 'the badge', timeoutMs: STEP_MS_MAX, pollMs: POLL_MS });
      await send('older-2', 'Three');
      await waitFor(async () => (await badge.innerText()) === '3', {
        what: 'the badge after a message',
        timeoutMs: STEP_MS_MAX,
        pollMs: POLL_MS,
      });
      await page.locator('.notificationapi-button').click();
      await shows(page, 'Three', 'Two', 'One');
      await waitFor(async () => (await unread()) === 0, { what: 'the messages to be read', timeoutMs: STEP_MS_MAX, pollMs: POLL_MS });
    });

    it('knows the key to subscribe with, and what there is to configure', async () => {
      const page = await startOlder('older-3');
      await connected(page);
      const { public_key } = await (await openInbox(stack.url, stack.keys, 'older-3')).get<{ public_key: string }>('/v1/push/vapid-key');
      const keyOfPage = () => page.evaluate<string>('client.state.webPushSettings.applicationServerKey');
      await waitFor(async () => (await keyOfPage()) === public_key, { what: 'the key', timeoutMs: STEP_MS_MAX, pollMs: POLL_MS });
      expect(await page.evaluate('client.getUserPreferences()')).toEqual([]);
    });

    it('gets nothing with the hash of somebody else, and leaves nothing behind', async () => {
      await send('victim', 'For the victim alone').catch(() => undefined);
      const page = await openPage('/older');
      const statuses: number[] = [];
      page.on('response', (response) => statuses.push(response.status()));
      const options = {
        clientId: stack.keys.publicKey,
        userId: 'nobody-yet',
        userIdHash: hashOf('attacker'),
        restBaseURL: stack.url,
        websocket: stack.url.replace('http', 'ws'),
      };
      await page.evaluate(
        `window.client = new NotificationAPI(${JSON.stringify(options)}); client.showInApp({ root: 'bell', inline: true })`,
      );
      await waitFor(() => page.evaluate<boolean>('client.websocket.readyState === WebSocket.CLOSED'), {
        what: 'the refusal',
        timeoutMs: STEP_MS_MAX,
        pollMs: POLL_MS,
      });
      await page.evaluate(`client.identify({ email: 'evil@example.com' })`);
      await waitFor(() => statuses.includes(401), { timeoutMs: STEP_MS_MAX, pollMs: POLL_MS });
      const found = await stack
        .api()
        .get('/v1/subscribers/nobody-yet')
        .catch((error: unknown) => error);
      expect((found as ApiProblem).status).toBe(404);
      expect(await titlesOn(page)).toEqual([]);
    });

    it('never shows what is sent to another subscriber', async () => {
      const [anna, ben] = [await startOlder('older-anna'), await startOlder('older-ben')];
      await Promise.all([connected(anna), connected(ben)]);
      await send('older-anna', 'For Anna');
      await shows(anna, 'For Anna');
      await send('older-ben', 'For Ben');
      await shows(ben, 'For Ben');
      expect(await titlesOn(anna)).toEqual(['For Anna']);
    });
  });

  describe('@notificationapi/core', () => {
    /** The client on its page; what came over its WebSocket stands in `window.came`. */
    async function startCore(id: string, hashedUserId = hashOf(id)): Promise<Page> {
      const page = await openPage('/core');
      await page.waitForFunction('window.sdk !== undefined');
      const options = { clientId: stack.keys.publicKey, userId: id, hashedUserId, host: front?.host, websocketHost: front?.host };
      await page.evaluate(
        `window.came = []; sdk.init({ ...${JSON.stringify(options)}, onNewInAppNotifications: (them) => came.push(...them) }); window.socket = sdk.openWebSocket()`,
      );
      return page;
    }

    it('identifies, gets what is sent while it is connected, lists it and changes it', async () => {
      const page = await startCore('core-1');
      await waitFor(() => page.evaluate<boolean>('socket.readyState === WebSocket.OPEN'), {
        what: 'the WebSocket',
        timeoutMs: STEP_MS_MAX,
        pollMs: POLL_MS,
      });
      await page.evaluate(`sdk.identify({ id: 'core-1', email: 'core@example.com' })`);
      expect(await page.evaluate('sdk.user.get()')).toMatchObject({ id: 'core-1', email: 'core@example.com' });
      await send('core-1', 'Live');
      await waitFor(() => page.evaluate<boolean>(`came.length === 1 && came[0].title === 'Live'`), {
        what: 'the message',
        timeoutMs: STEP_MS_MAX,
        pollMs: POLL_MS,
      });
      const before = `new Date(Date.now() + 60_000).toISOString()`;
      const list = () =>
        page.evaluate<{ items: { id: string; title: string; seen: boolean }[]; hasMore: boolean }>(
          `sdk.getInAppNotifications({ before: ${before} })`,
        );
      const [item] = (await list()).items;
      expect(item).toMatchObject({ title: 'Live', seen: false });
      await page.evaluate(`sdk.updateInAppNotifications({ ids: ['${item?.id}'], opened: true })`);
      expect((await list()).items).toMatchObject([{ id: item?.id, seen: true }]);
      await page.evaluate(`sdk.updateInAppNotifications({ ids: ['${item?.id}'], archived: true })`);
      expect((await list()).items).toEqual([]);
      expect(await page.evaluate('sdk.getPreferences()')).toEqual({ preferences: [], notifications: [], subNotifications: [] });
      expect(await page.evaluate('sdk.getUserAccountMetadata()')).toMatchObject({ userAccountMetadata: { hasWebPushEnabled: true } });
    });

    it('is refused without a hash and with a wrong one', async () => {
      for (const hash of ['', hashOf('somebody-else')]) {
        const page = await startCore('core-2', hash);
        await waitFor(() => page.evaluate<boolean>('socket.readyState === WebSocket.CLOSED'), {
          what: 'the refusal',
          timeoutMs: STEP_MS_MAX,
          pollMs: POLL_MS,
        });
        const code = hash === '' ? 'identity_missing' : 'identity_mismatch';
        expect(await page.evaluate(`sdk.identify({ email: 'x@example.com' })`)).toMatchObject({ status: 401, code });
      }
    });
  });

  it('left no hash in a log or a trace', async () => {
    const page = await startOlder('logged');
    await connected(page);
    await page.close();
    const ofSocket = () =>
      receiver.spans.filter(({ attributes }) => attributes['http.route'] === '/' && attributes['http.response.status_code'] === 101);
    await waitFor(() => ofSocket().length > 0, { what: 'the span of the WebSocket', timeoutMs: STEP_MS_MAX, pollMs: POLL_MS });
    await waitFor(() => stack.log().includes('"status":101'), {
      what: 'the line of the WebSocket',
      timeoutMs: STEP_MS_MAX,
      pollMs: POLL_MS,
    });
    expect(hashes.size).toBeGreaterThan(5);
    for (const hash of hashes) {
      for (const spelling of [hash, encodeURIComponent(hash), Buffer.from(hash).toString('base64').slice(0, 40)]) {
        expect(stack.log().includes(spelling)).toBe(false);
        expect(receiver.exported.includes(spelling)).toBe(false);
      }
    }
    expect(receiver.faults).toEqual([]);
  });
});
