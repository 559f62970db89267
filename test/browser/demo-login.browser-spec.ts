/** `npm start -- --demo-login` as somebody tries it: nothing is set up, the page asks for a name alone, and a message sent with the printed key appears. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { freePort } from '#scripts/kafka/broker.mjs';
import { makeOwnedDirectory, waitFor } from '#testing';
import { ApiClient } from '../support/api-client.js';
import { AppProcess } from '../support/app-process.js';
import { showLogsOnFailure } from '../support/report-failure.js';
import { removeAbandonedStacks, STACK_FOLDER_PREFIX, undoAll } from '../support/stack.js';
import { browserUnderTest } from './support/browser-under-test.js';
import { openContext, START_MS_MAX, startChromium, STEP_MS_MAX } from './support/chromium.js';
import { InboxPage } from './support/inbox-page.js';

/** Line of the start's words with the key to send with. */
const PRINTED_KEY = /API key \(development\)\s+(\S+)/;
/** Line with the page's address. */
const PRINTED_PAGE = /Inbox page\s+(\S+)/;

const { executablePath, skipReason } = browserUnderTest('chromium');

describe.skipIf(skipReason !== undefined)("the demo's login", () => {
  const undo: (() => Promise<unknown>)[] = [];
  let app: AppProcess;
  let browser: Browser;

  beforeAll(async () => {
    await removeAbandonedStacks();
    const folder = await makeOwnedDirectory(STACK_FOLDER_PREFIX);
    undo.push(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
    const env = {
      PATH: process.env['PATH'] ?? '',
      HOME: process.env['HOME'] ?? '',
      BELFRY_POSTGRES_DIR: join(folder, 'postgres'),
      BELFRY_WEB_CLIENT: 'true',
    };
    app = new AppProcess({ app: 'standalone', instance: 0, port: await freePort(), env, folder, args: ['--demo-login'] });
    undo.push(() => app.end('SIGTERM'));
    await app.start();
    browser = await startChromium(executablePath);
    undo.push(() => browser.close());
  }, START_MS_MAX);
  beforeEach(() => showLogsOnFailure({ tails: () => app.tail() }));
  afterAll(() => undoAll(undo));

  /** What the process printed for the person who started it. */
  async function printed(pattern: RegExp): Promise<string> {
    return waitFor(() => pattern.exec(app.log())?.[1], { what: `the line ${String(pattern)}`, timeoutMs: STEP_MS_MAX });
  }

  it('asks for a subscriber alone, and shows what is sent to that subscriber', async () => {
    const api = new ApiClient(app.url, await printed(PRINTED_KEY));
    const { context } = await openContext(browser);
    const page = await context.newPage();
    await page.goto(await printed(PRINTED_PAGE));
    await page.getByRole('heading', { name: 'Open an inbox' }).waitFor();
    expect(await page.getByLabel('Subscriber id').inputValue()).toBe('user-1');
    expect(await page.getByLabel('Subscriber hash').isVisible()).toBe(false);
    await page.getByRole('button', { name: 'Open inbox' }).click();
    const inbox = new InboxPage(page, { url: app.url, keys: { publicKey: '', apiKey: '', identitySecret: '' } });
    await inbox.live();
    await api.post('/v1/messages', { body: { subscriber_id: 'user-1', channels: ['inbox'], title: 'Hello from the API' } });
    await inbox.shows('Hello from the API');
    await inbox.unread(1);
    expect(await inbox.accessibilityFaults()).toEqual([]);
    await inbox.message('Hello from the API').getByRole('button', { name: 'Mark as read' }).click();
    await inbox.unread(0);
  });
});
