/**
 * The published `@novu/js`, unmodified, on a page of another origin, against Belfry in a production environment: the client, and
 * the inbox of its user interface, each bundled as customers bundle it. Both are told the address by their documented options `apiUrl`,
 * `socketUrl` and `socketOptions`.
 */
import { createHmac } from 'node:crypto';
import { canonicalize } from '@tufjs/canonical-json';
import type { Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { waitFor } from '#testing';
import { ApiProblem, openInbox } from '../support/api-client.js';
import { showLogsOnFailure } from '../support/report-failure.js';
import { browserUnderTest } from './support/browser-under-test.js';
import { START_MS_MAX, STEP_MS_MAX } from './support/chromium.js';
import { ForeignClients } from './support/foreign-clients.js';
import { serveFiles, type VendorSite } from './support/vendor-page.js';

const CLIENT_ENTRY = 'node_modules/@novu/js/dist/esm/index.mjs';
const INBOX_ENTRY = 'node_modules/@novu/js/dist/esm/ui/index.mjs';
const POLL_MS = 100;

const { executablePath, skipReason } = browserUnderTest('chromium');

const CLIENT_PAGE = `<!doctype html><title>client</title><script type="module">import { Novu } from '/novu.js'; window.Novu = Novu;</script>`;
const INBOX_PAGE = `<!doctype html><title>inbox</title><div id="inbox"></div><script type="module">import { NovuUI } from '/ui.js'; window.NovuUI = NovuUI;</script>`;

/** What a call of the client gave; it never throws. */
interface Outcome {
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly data?: any;
  readonly status?: number;
  readonly message?: string;
}

/** What the package exports there in one script, as bundlers of customers make it. */
async function bundle(entry: string): Promise<string> {
  const bundled = await build({
    configFile: false,
    envDir: false,
    publicDir: false,
    logLevel: 'warn',
    define: { 'process.env.NODE_ENV': '"production"' },
    build: {
      write: false,
      lib: { entry, formats: ['es'], fileName: 'bundle' },
      rolldownOptions: { output: { codeSplitting: false } },
    },
  });
  const [first] = [bundled].flat();
  const chunk = first !== undefined && 'output' in first ? first.output.find(({ type }) => type === 'chunk') : undefined;
  if (chunk?.type !== 'chunk') throw new Error('nothing was bundled');
  return chunk.code;
}

describe.skipIf(skipReason !== undefined)('@novu/js', () => {
  const secrets = new Set<string>();
  let clients: ForeignClients;
  let elsewhere: VendorSite;

  beforeAll(async () => {
    const files = new Map([
      ['/client', CLIENT_PAGE],
      ['/inbox', INBOX_PAGE],
      ['/novu.js', await bundle(CLIENT_ENTRY)],
      ['/ui.js', await bundle(INBOX_ENTRY)],
    ]);
    clients = await ForeignClients.start({ executablePath, files });
    elsewhere = await serveFiles(files);
  }, START_MS_MAX);
  beforeEach(() => showLogsOnFailure(clients?.stack));
  afterAll(async () => {
    await elsewhere?.close();
    await clients?.stop();
  });

  /** What the customer's server makes for its page. */
  function hashOf(text: string): string {
    const hash = createHmac('sha256', clients.stack.keys.identitySecret).update(text).digest('hex');
    secrets.add(hash);
    return hash;
  }

  const optionsOf = (id: string, more: object = {}): object => ({
    apiUrl: clients.stack.url,
    applicationIdentifier: clients.stack.keys.publicKey,
    subscriber: { subscriberId: id },
    subscriberHash: hashOf(id),
    ...more,
  });

  /** The client of a person on its page: `novu`, and `came`, what it said by its events. */
  async function start(id: string, more: object = {}, site?: VendorSite): Promise<Page> {
    const page = await clients.openPage('/client', site);
    await page.waitForFunction('window.Novu !== undefined');
    await page.evaluate(`window.came = []; window.novu = new Novu(${JSON.stringify(optionsOf(id, more))})`);
    return page;
  }

  /** Calls the client in its page. */
  const call = (page: Page, expression: string): Promise<Outcome> =>
    page.evaluate<Outcome>(`(async () => {
      const { data, error } = await novu.${expression};
      const { status, message } = error?.originalError ?? {};
      return JSON.parse(JSON.stringify({ data, status, message: error === undefined ? undefined : String(message) }));
    })()`);

  const until = <Value>(look: () => Promise<Value>, what: string) => waitFor(look, { what, timeoutMs: STEP_MS_MAX, pollMs: POLL_MS });

  /** Waits until a person has so many unread messages. */
  async function hasUnread(id: string, count: number): Promise<void> {
    const inbox = await openInbox(clients.stack.url, clients.stack.keys, id);
    await until(
      async () => (await inbox.get<{ count: number }>('/v1/inbox/unread-count')).count === count,
      `${count} unread messages of ${id}`,
    );
  }

  /** Sends messages, one after the other, to somebody who has none yet. */
  async function fill(id: string, ...titles: readonly string[]): Promise<void> {
    await openInbox(clients.stack.url, clients.stack.keys, id);
    for (const [index, title] of titles.entries()) {
      await clients.send(id, title);
      await hasUnread(id, index + 1);
    }
  }

  const subjectsOf = ({ data }: Outcome): string[] => data?.notifications.map(({ subject }: { subject: string }) => subject);

  describe('the client alone', () => {
    it('opens a session across origins, tells about the person, lists page by page and counts', async () => {
      await fill('reader', 'One', 'Two', 'Three');
      const page = await start('reader', { useCache: false, subscriber: { subscriberId: 'reader', firstName: 'Anna', locale: 'de-AT' } });
      const first = await call(page, 'notifications.list({ limit: 2 })');
      expect(subjectsOf(first)).toEqual(['Three', 'Two']);
      const { id } = first.data.notifications[1];
      expect(subjectsOf(await call(page, `notifications.list({ limit: 2, after: '${id}' })`))).toEqual(['One']);
      expect((await call(page, 'notifications.count({ filters: [{ read: false }, { archived: true }] })')).data.counts).toMatchObject([
        { count: 3 },
        { count: 0 },
      ]);
      expect(await clients.stack.api().get('/v1/subscribers/reader')).toMatchObject({
        locale: 'de-AT',
        attributes: { first_name: 'Anna' },
      });
    });

    it('marks as read and unread, archives, and shows preferences', async () => {
      await fill('mover', 'Only one');
      const page = await start('mover', { useCache: false });
      const [{ id }] = (await call(page, 'notifications.list()')).data.notifications;
      expect((await call(page, `notifications.read({ notificationId: '${id}' })`)).data).toMatchObject({ id, isRead: true });
      await hasUnread('mover', 0);
      expect((await call(page, `notifications.unread({ notificationId: '${id}' })`)).data).toMatchObject({ id, isRead: false });
      expect((await call(page, `notifications.seenAll({ notificationIds: ['${id}'] })`)).message).toBeUndefined();
      expect((await call(page, `notifications.archive({ notificationId: '${id}' })`)).data).toMatchObject({ id, isArchived: true });
      expect(subjectsOf(await call(page, 'notifications.list({ archived: false })'))).toEqual([]);
      expect((await call(page, `notifications.unarchive({ notificationId: '${id}' })`)).data).toMatchObject({ id, isArchived: false });
      expect((await call(page, 'notifications.readAll()')).message).toBeUndefined();
      await hasUnread('mover', 0);
      expect((await call(page, 'preferences.list()')).data).toMatchObject([{ level: 'global', enabled: true }]);
    });

    it('opens a session with a context, and is refused with a hash that was made over another one', async () => {
      await fill('member', 'Sent without a context');
      const context = { tenant: { id: 'acme-corp', data: { plan: 'enterprise' } } };
      const contextHash = hashOf(canonicalize(context));
      const admitted = await start('member', { context, contextHash });
      expect((await call(admitted, 'notifications.list()')).data).toMatchObject({ notifications: [], hasMore: false });
      const refused = await start('member', { context: { tenant: 'evil-corp' }, contextHash });
      expect(await call(refused, 'notifications.list()')).toMatchObject({ status: 400, message: expect.stringContaining('HMAC hash') });
    });

    it('shows an error and never an empty list with a wrong hash, and leaves nobody behind', async () => {
      const page = await start('nobody-yet', { subscriberHash: hashOf('attacker') });
      const listed = await call(page, 'notifications.list()');
      expect(listed).toMatchObject({ status: 400, message: expect.stringContaining('Please provide a valid HMAC hash') });
      expect(listed.data).toBeUndefined();
      const found = await clients.stack
        .api()
        .get('/v1/subscribers/nobody-yet')
        .catch((error: unknown) => error);
      expect((found as ApiProblem).status).toBe(404);
    });

    it('gets nothing on the page of an origin that is not allowed', async () => {
      await fill('phished', 'For the true page alone');
      const page = await start('phished', {}, elsewhere);
      const listed = await call(page, 'notifications.list()');
      expect(listed.data).toBeUndefined();
      expect(listed.message).toContain('Failed to fetch');
    });
  });

  describe('its live connection', () => {
    const live = (): object => ({
      socketUrl: `${clients.stack.url.replace('http', 'ws')}/v1/inbox/socket`,
      socketOptions: { socketType: 'cloud' },
    });

    /** A client that listens and is connected: it has been told how many messages are unread. */
    async function listen(id: string, more: object = {}): Promise<Page> {
      const page = await start(id, { ...live(), ...more });
      await page.evaluate(`for (const name of ['notification_received', 'unread_count_changed', 'unseen_count_changed'])
        novu.on('notifications.' + name, ({ result }) => came.push({ name, result: JSON.parse(JSON.stringify(result)) }));`);
      await until(async () => (await heard(page, 'unread_count_changed')).length > 0, `the live connection of ${id}`);
      return page;
    }

    // oxlint-disable-next-line typescript/no-explicit-any
    const heard = (page: Page, name: string): Promise<any[]> =>
      page.evaluate(`came.filter((one) => one.name === ${JSON.stringify(name)}).map(({ result }) => result)`);

    it('brings a message that is sent while it is open, as the list shows it, and both counts, and to nobody else', async () => {
      const [anna, ben] = [await listen('live-anna', { useCache: false }), await listen('live-ben')];
      const actions = [{ id: 'pay', title: 'Pay', url: 'https://shop.example/pay' }];
      await clients.send('live-anna', 'For Anna', { body: 'Your order has left', url: 'https://shop.example/orders/7', actions });
      await until(async () => (await heard(anna, 'notification_received')).length === 1, 'the message');
      const [received] = await heard(anna, 'notification_received');
      expect(received).toMatchObject({ subject: 'For Anna', isRead: false, redirect: { url: 'https://shop.example/orders/7' } });
      // The client itself leaves the null out of what comes live.
      expect((await call(anna, 'notifications.list()')).data.notifications).toEqual([{ snoozedUntil: null, ...received }]);
      await until(async () => (await heard(anna, 'unread_count_changed')).at(-1).total === 1, 'the unread count');
      await until(async () => (await heard(anna, 'unseen_count_changed')).at(-1) === 1, 'the unseen count');
      await clients.send('live-ben', 'For Ben');
      await until(async () => (await heard(ben, 'notification_received')).length === 1, 'the message of the other');
      expect(await heard(ben, 'notification_received')).toMatchObject([{ subject: 'For Ben' }]);
      expect(await heard(anna, 'notification_received')).toHaveLength(1);
      await call(anna, `notifications.read({ notificationId: '${received.id}' })`);
      await until(async () => (await heard(anna, 'unread_count_changed')).at(-1).total === 0, 'the unread count after reading');
    });

    it('ends when the person is revoked, and is refused when it comes back', async () => {
      const page = await listen('live-revoked');
      await page.evaluate(`window.ended = false; novu.on('socket.disconnect.resolved', () => { ended = true; })`);
      await clients.stack.api().post('/v1/subscribers/live-revoked/revoke', { body: {} });
      const refused = page.waitForEvent('websocket');
      await until(() => page.evaluate<boolean>('ended'), 'the end of the connection');
      const again = await refused;
      await until(async () => again.isClosed(), 'the refusal of the next one');
    });

    it('left no token and no hash in a log or a trace', async () => {
      const page = await start('live-logged', live());
      const opened = page.waitForEvent('websocket');
      await page.evaluate(`novu.on('notifications.unread_count_changed', ({ result }) => came.push(result))`);
      const token = new URL((await opened).url()).searchParams.get('token') ?? '';
      await until(() => page.evaluate<boolean>('came.length > 0'), 'the live connection');
      await page.close();
      const ofSocket = () =>
        clients.receiver.spans.filter(
          ({ attributes }) => attributes['http.route'] === '/v1/inbox/socket' && attributes['http.response.status_code'] === 101,
        );
      await until(async () => ofSocket().length > 0, 'the span of the WebSocket');
      await until(async () => clients.stack.log().includes('"route":"/v1/inbox/socket","status":101'), 'the line of the WebSocket');
      const [, claims = '', signature = ''] = token.split('.');
      expect(signature.length).toBeGreaterThan(40);
      expect(secrets.size).toBeGreaterThan(5);
      for (const secret of [claims, signature, ...secrets]) {
        expect(clients.stack.log().includes(secret)).toBe(false);
        expect(clients.receiver.exported.includes(secret)).toBe(false);
      }
      expect(clients.receiver.faults).toEqual([]);
    });

    it('fills the inbox of its user interface', async () => {
      await fill('drawn', 'There before');
      const page = await clients.openPage('/inbox');
      await page.waitForFunction('window.NovuUI !== undefined');
      const opened = page.waitForEvent('websocket');
      await page.evaluate(`(() => {
        const ui = new NovuUI({ options: ${JSON.stringify(optionsOf('drawn', live()))} });
        ui.mountComponent({ name: 'Inbox', props: { open: true }, element: document.getElementById('inbox') });
      })()`);
      await page.getByText('There before').waitFor();
      await (await opened).waitForEvent('framereceived');
      await clients.send('drawn', 'Came live');
      await page.getByText('1 new notification').or(page.getByText('Came live')).first().waitFor();
    });
  });
});
