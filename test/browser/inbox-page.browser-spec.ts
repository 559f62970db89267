/**
 * The inbox page in Chromium against Belfry as a process: a person logs in, sees messages come, handles them in two tabs, loses the
 * connection and the gateway, and can do all of it with a keyboard, in the dark and on a phone.
 */
import type { Browser, BrowserContext } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { waitFor } from '#testing';
import { openInbox } from '../support/api-client.js';
import { showLogsOnFailure } from '../support/report-failure.js';
import { type StandaloneStack, startStandaloneStack } from '../support/standalone-stack.js';
import { browserUnderTest } from './support/browser-under-test.js';
import { type Look, openContext, type PageFaults, START_MS_MAX, startChromium, STEP_MS_MAX, textOf } from './support/chromium.js';
import { InboxPage } from './support/inbox-page.js';

const PHONE = { width: 360, height: 740 };
const LOOKS: readonly (readonly [name: string, look: Look])[] = [
  ['in the light', {}],
  ['in the dark', { colorScheme: 'dark' }],
  ['on a phone', { viewport: PHONE }],
  ['on a phone in the dark', { viewport: PHONE, colorScheme: 'dark' }],
];

const { executablePath, skipReason } = browserUnderTest('chromium');

describe.skipIf(skipReason !== undefined)('the inbox page', () => {
  let stack: StandaloneStack;
  let browser: Browser;
  const contexts: BrowserContext[] = [];
  const allFaults: PageFaults[] = [];
  let readers = 0;

  beforeAll(async () => {
    stack = await startStandaloneStack({ BELFRY_WEB_CLIENT: 'true' });
    browser = await startChromium(executablePath);
  }, START_MS_MAX);
  beforeEach(() => showLogsOnFailure(stack));
  afterEach(async () => {
    await Promise.all(contexts.splice(0).map((context) => context.close()));
    expect(allFaults.splice(0).flatMap(({ faults }) => faults)).toEqual([]);
  });
  afterAll(async () => {
    await browser?.close();
    await stack?.stop();
  });

  /** A tab of a browser of its own. */
  async function openTab(look: Look = {}): Promise<InboxPage & { readonly seen: PageFaults; readonly context: BrowserContext }> {
    const { context, faults } = await openContext(browser, look);
    contexts.push(context);
    allFaults.push(faults);
    return Object.assign(new InboxPage(await context.newPage(), stack), { seen: faults, context });
  }

  /** A person of the environment, whom no other test writes to. */
  async function newReader(): Promise<string> {
    const reader = `reader-${(readers += 1)}`;
    await stack.api().call('PUT', `/v1/subscribers/${reader}`, { body: {} });
    return reader;
  }

  /** Sends messages one after the other: each is in the inbox before the next, as their order is not promised otherwise. */
  async function send(subscriberId: string, ...titles: readonly string[]): Promise<void> {
    const reader = await openInbox(stack.url, stack.keys, subscriberId);
    for (const title of titles) {
      await stack.api().post('/v1/messages', { body: { subscriber_id: subscriberId, channels: ['inbox'], title } });
      const isNewest = async (): Promise<boolean> => {
        const { data } = await reader.get<{ data: readonly { title: string }[] }>('/v1/inbox/messages?limit=1');
        return data[0]?.title === title;
      };
      await waitFor(isNewest, { what: `the message "${title}" in the inbox`, timeoutMs: STEP_MS_MAX });
    }
  }

  it('refuses a wrong proof in words, and lets a good one in', async () => {
    const tab = await openTab();
    const reader = await newReader();
    await tab.logIn(reader, 'f'.repeat(64));
    await tab.page.getByRole('alert').filter({ hasText: 'The proof of identity does not match' }).waitFor();
    expect(await tab.accessibilityFaults()).toEqual([]);
    await tab.logIn(reader);
    await tab.page.getByRole('heading', { name: 'Nothing here yet' }).waitFor();
    await tab.live();
  });

  it('fills while a campaign runs, without anybody touching it', async () => {
    const reader = await newReader();
    await stack.api().call('PUT', `/v1/subscribers/${reader}`, { body: { attributes: { first_name: 'Zoë' } } });
    const tab = await openTab();
    await tab.logIn(reader);
    await tab.live();
    const campaign = {
      channels: ['inbox'],
      audience: { all: true },
      title: '{{ subscriber.first_name | default: "Hello" }}, a calmer bill',
      body: '<b>not bold</b>',
      url: '/offers/autumn',
      actions: [{ id: 'see', title: 'See the offer', url: '/offers/autumn?see' }],
    };
    const { id } = await stack.api().post<{ id: string }>('/v1/campaigns', { body: campaign });
    await stack.api().post(`/v1/campaigns/${id}/trigger`);
    await tab.shows('Zoë, a calmer bill');
    await tab.unread(1);
    await tab.page.locator('#announcer', { hasText: 'New message: Zoë, a calmer bill' }).waitFor({ state: 'attached' });
    expect(await textOf(tab.page, '.message .body')).toBe('<b>not bold</b>');
    const message = tab.message('Zoë, a calmer bill');
    expect(await tab.page.evaluate(`[...document.querySelectorAll('.message a')].map((link) => link.getAttribute('href'))`)).toEqual([
      `${stack.url}/offers/autumn`,
      `${stack.url}/offers/autumn?see`,
    ]);
    expect(await message.locator('time').getAttribute('title')).toMatch(/\d{4}/);
  });

  it('shows in one tab what was done in another, and takes it back', async () => {
    const reader = await newReader();
    await send(reader, 'First', 'Second', 'Third');
    const [one, two] = [await openTab(), await openTab()];
    for (const tab of [one, two]) {
      await tab.logIn(reader);
      await tab.live();
      await tab.shows('Third', 'Second', 'First');
      await tab.unread(3);
    }
    await one.message('Second').getByRole('button', { name: 'Mark as read' }).click();
    await two.unread(2);
    await two.message('Second').getByRole('button', { name: 'Mark as unread' }).waitFor();
    await one.message('Third').getByRole('button', { name: 'Archive' }).click();
    const undo = one.page.getByRole('button', { name: 'Undo' });
    // It stays as long as it has the focus.
    await undo.focus();
    await two.shows('Second', 'First');
    await undo.press('Enter');
    await two.shows('Third', 'Second', 'First');
    await two.unread(2);
    await one.filter('Unread');
    await one.shows('Third', 'First');
    await one.page.getByRole('button', { name: 'Mark all as read' }).click();
    await one.page.getByRole('heading', { name: 'All caught up' }).waitFor();
    await two.unread(0);
    await two.message('First').getByRole('button', { name: 'Mark as unread' }).waitFor();
  });

  it('pages through a long inbox', async () => {
    const reader = await newReader();
    const titles = Array.from({ length: 23 }, (_, index) => `Message ${index + 1}`);
    await send(reader, ...titles);
    const tab = await openTab();
    await tab.logIn(reader);
    const newestFirst = titles.toReversed();
    await tab.shows(...newestFirst.slice(0, 20));
    await tab.page.getByRole('button', { name: 'Show older messages' }).click();
    await tab.shows(...newestFirst);
    expect(await tab.page.getByRole('button', { name: 'Show older messages' }).isVisible()).toBe(false);
  });

  it('needs no pointer, and keeps the focus near when a message leaves', async () => {
    const reader = await newReader();
    await send(reader, 'Lower', 'Upper');
    const tab = await openTab();
    await tab.logIn(reader);
    await tab.shows('Upper', 'Lower');
    const press = async (key: string, times = 1): Promise<void> => {
      for (let count = 0; count < times; count += 1) await tab.page.keyboard.press(key);
    };
    const focused = (): Promise<string> =>
      tab.page.evaluate('document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent');
    await tab.page.getByRole('button', { name: 'Mark all as read' }).focus();
    await press('Tab');
    expect(await focused()).toBe('Mark as read: Upper');
    await press('Tab');
    await press('Enter');
    await tab.shows('Lower');
    expect(await focused()).toBe('Archive: Lower');
    await press(' ');
    await tab.page.getByRole('heading', { name: 'Nothing here yet' }).waitFor();
    await tab.page.getByRole('button', { name: 'Undo' }).focus();
    await press('Enter');
    await tab.shows('Lower');
  });

  it('comes back by itself after the gateway restarted, and misses nothing', async () => {
    const reader = await newReader();
    await send(reader, 'Before');
    const tab = await openTab();
    await tab.logIn(reader);
    await tab.shows('Before');
    await tab.live();
    await stack.end();
    await tab.page.getByRole('status').filter({ hasText: 'The connection was lost' }).waitFor();
    await tab.shows('Before');
    expect(await tab.accessibilityFaults()).toEqual([]);
    await stack.start();
    await send(reader, 'After');
    await tab.shows('After', 'Before');
    await tab.live();
    expect(await tab.page.locator('#offline').isVisible()).toBe(false);
  });

  it('says that it is offline, keeps what was loaded, and catches up', async () => {
    const reader = await newReader();
    await send(reader, 'Loaded');
    const tab = await openTab();
    await tab.logIn(reader);
    await tab.shows('Loaded');
    await tab.live();
    await tab.context.setOffline(true);
    await tab.page.getByRole('status').filter({ hasText: 'You are offline' }).waitFor();
    expect(await tab.accessibilityFaults()).toEqual([]);
    await tab.message('Loaded').getByRole('button', { name: 'Mark as read' }).click();
    await tab.page.getByRole('status').filter({ hasText: 'The gateway cannot be reached' }).waitFor();
    await tab.message('Loaded').getByRole('button', { name: 'Mark as read' }).waitFor();
    await tab.context.setOffline(false);
    await send(reader, 'Missed');
    await tab.shows('Missed', 'Loaded');
  });

  it('says what failed with its code, and tries again', async () => {
    const tab = await openTab();
    let isBroken = true;
    await tab.page.route('**/v1/inbox/messages?*', (route) => {
      const problem = {
        code: 'database_unavailable',
        title: 'Postgres cannot be reached',
        hint: 'Try again in a moment.',
        request_id: 'req-7',
      };
      return isBroken
        ? route.fulfill({ status: 503, contentType: 'application/problem+json', body: JSON.stringify(problem) })
        : route.fallback();
    });
    const reader = await newReader();
    await send(reader, 'There after all');
    await tab.logIn(reader);
    await tab.page.getByRole('alert').filter({ hasText: 'Postgres cannot be reached' }).waitFor();
    expect(await textOf(tab.page, '#failure-code')).toBe('database_unavailable · req-7');
    expect(await tab.accessibilityFaults()).toEqual([]);
    isBroken = false;
    await tab.page.getByRole('button', { name: 'Try again' }).click();
    await tab.shows('There after all');
  });

  it('puts no proof and no token into any URL, and forgets both at the end', async () => {
    const reader = await newReader();
    const tab = await openTab();
    await tab.logIn(reader);
    await tab.live();
    await tab.page.reload();
    await tab.live();
    expect(tab.seen.urls.length).toBeGreaterThan(8);
    for (const url of tab.seen.urls) {
      expect(url).toMatch(new RegExp(`^${stack.url}/`));
      expect(url).not.toMatch(new RegExp(`${tab.hashOf(reader)}|${stack.keys.identitySecret}|eyJ|token|hash`, 'i'));
    }
    await tab.page.getByRole('button', { name: 'Sign out' }).click();
    await tab.page.getByRole('heading', { name: 'Open an inbox' }).waitFor();
    expect(await tab.page.evaluate('sessionStorage.getItem("belfry:visitor")')).toBeNull();
    expect(await tab.page.evaluate('JSON.stringify(localStorage)')).toBe('{}');
  });

  it.each(LOOKS)('is accessible in every state %s', async (_name, look) => {
    const reader = await newReader();
    const tab = await openTab(look);
    await tab.open();
    expect(await tab.accessibilityFaults(), 'login').toEqual([]);
    await tab.logIn(reader);
    await tab.page.getByRole('heading', { name: 'Nothing here yet' }).waitFor();
    expect(await tab.accessibilityFaults(), 'empty').toEqual([]);
    await stack.api().post('/v1/messages', {
      body: {
        subscriber_id: reader,
        channels: ['inbox'],
        title: 'An unread one '.repeat(12),
        body: `${'Long words like Donaudampfschifffahrtsgesellschaftskapitänsmütze. '.repeat(5)}\n${'x'.repeat(120)}`,
        url: '/offers',
        actions: [
          { id: 'a', title: 'See the offer' },
          { id: 'b', title: 'Not interested' },
        ],
      },
    });
    await tab.message('An unread one').waitFor();
    await send(reader, 'A read one');
    await tab.message('A read one').getByRole('button', { name: 'Mark as read' }).click();
    await tab.page.getByRole('button', { name: 'Undo' }).waitFor();
    expect(await tab.accessibilityFaults(), 'list with a toast').toEqual([]);
    expect(await tab.page.evaluate('document.documentElement.scrollWidth <= innerWidth'), 'no sideways scrolling').toBe(true);
    await tab.filter('Archive');
    await tab.page.getByRole('heading', { name: 'The archive is empty' }).waitFor();
    expect(await tab.accessibilityFaults(), 'empty archive').toEqual([]);
  });
});
