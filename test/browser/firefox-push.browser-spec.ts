/**
 * The whole way of a push message with nothing in it played by us but the push service: a page of a customer's site with the browser
 * client, the service worker, Firefox with its own keys and its own decryption, Belfry as a process, the click of a person, and the
 * counts that come of it. What Firefox says of each message (100: decrypted and delivered) is the proof that our encryption is right.
 */
import { createHmac } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from 'puppeteer-core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RunResource } from '#campaigns';
import { makeOwnedDirectory, waitFor } from '#testing';
import { type AutopushServer, startAutopushServer } from '../../libs/testing/src/autopush/index.js';
import { openInbox } from '../support/api-client.js';
import { showLogsOnFailure } from '../support/report-failure.js';
import { STACK_FOLDER_PREFIX, undoAll } from '../support/stack.js';
import { type StandaloneStack, startStandaloneStack } from '../support/standalone-stack.js';
import { browserUnderTest } from './support/browser-under-test.js';
import { Firefox } from './support/firefox.js';
import { type Shop, startShop } from './support/shop.js';

const READER = 'reader-1';
const READER_PATH = `/v1/subscribers/${READER}`;
/** Two starts of processes and one of a browser, each with a bound of its own. */
const START_MS_MAX = 300_000;
/** What a person, a browser and two queues need at most on a machine that does much else. */
const STEP_MS_MAX = 60_000;
/** Often enough to be quick, and seldom enough to leave the machine to what is waited for. */
const POLL_MS = 100;
/** A lost answer is a reason to try again soon. */
const RETRY_DELAY_MS = 200;

const { executablePath, skipReason } = browserUnderTest('firefox-esr');

describe.skipIf(skipReason !== undefined)('push messages in Firefox', () => {
  const undo: (() => Promise<unknown>)[] = [];
  let autopush: AutopushServer;
  let stack: StandaloneStack;
  let shop: Shop;
  let firefox: Firefox;
  let page: Page;

  beforeAll(async () => {
    autopush = await startAutopushServer();
    undo.push(() => autopush.close());
    stack = await startStandaloneStack(await pushSettings());
    undo.push(() => stack.stop());
    shop = await openShop();
    undo.push(() => shop.close());
    firefox = await Firefox.start({ executablePath, pushServerUrl: autopush.webSocketUrl });
    undo.push(() => firefox.close());
    page = await firefox.openPage(`${shop.origin}/`);
    await page.waitForSelector('main[data-ready]', { timeout: STEP_MS_MAX });
    await autopush.waitForHello();
  }, START_MS_MAX);
  beforeEach(() => showLogsOnFailure(stack));
  afterAll(() => undoAll(undo));

  it('subscribes a browser under the key of the environment', async () => {
    const device = await press<{ id: string; vendor: string }>('#allow');
    expect(device).toMatchObject({ vendor: 'mozilla', state: 'active' });
    const reader = await openInbox(stack.url, stack.keys, READER);
    const { public_key: vapidKey } = await reader.get<{ public_key: string }>('/v1/push/vapid-key');
    expect(autopush.subscriptions).toMatchObject([{ vapidPublicKey: vapidKey, isActive: true }]);
    const { data } = await reader.get<{ data: readonly { id: string }[] }>('/v1/push/subscriptions');
    expect(data.map(({ id }) => id)).toEqual([device.id]);
  });

  it('shows a campaign to the person and counts what the person does with it', async () => {
    const runId = await startRun({
      title: 'Für {{ subscriber.first_name }}: 20 % 🎉',
      body: 'Nur heute, nur hier.',
      url: '/offers/autumn',
    });
    await acknowledged(1, 100);
    await waitForEngagement(runId, { delivered: 1, shown: 1 });
    await waitForNotifications('Für Zoë: 20 % 🎉');
    expect(await finished(runId)).toMatchObject({
      counts: { targeted: 1, delivered: 1, skipped: 0, failed: 0 },
      push: { devices: { targeted: 1, accepted: 1 } },
    });

    await firefox.clickNotification('Für Zoë: 20 % 🎉');
    await waitForEngagement(runId, { delivered: 1, shown: 1, clicked: 1 });
    await waitFor(async () => (await firefox.pageUrls()).includes(`${shop.origin}/offers/autumn`), { timeoutMs: STEP_MS_MAX });
    await waitForNotifications();
  });

  it('counts a notification that the person closes as dismissed', async () => {
    const runId = await startRun({ title: 'Not interested' });
    await firefox.dismissNotification('Not interested');
    await waitForEngagement(runId, { delivered: 1, shown: 1, dismissed: 1 });
    await acknowledged(2, 100);
  });

  it('shows a message once whose first answer was lost, so that it was sent twice', async () => {
    autopush.loseNextAnswer();
    const runId = await startRun({ title: 'Only once' });
    await acknowledged(4, 100);
    const [first, second] = autopush.messages.slice(-2);
    expect(second?.topic).toBe(first?.topic);
    await waitForEngagement(runId, { delivered: 1, shown: 1 });
    await waitForNotifications('Only once');
    await firefox.clickNotification('Only once');
    await waitForEngagement(runId, { delivered: 1, shown: 1, clicked: 1 });
    expect((await finished(runId)).counts).toMatchObject({ targeted: 1, delivered: 1 });
  });

  it('shows nothing of a message that was changed on its way', async () => {
    autopush.damageNext();
    const damagedId = await startRun({ title: 'Damaged' });
    await acknowledged(5, 101);
    const laterId = await startRun({ title: 'Whole' });
    await waitForEngagement(laterId, { delivered: 1, shown: 1 });
    await acknowledged(6, 100);
    await waitForNotifications('Whole');
    expect(await engagementOf(damagedId)).toEqual({});
    await firefox.dismissNotification('Whole');
  });

  it('subscribes anew when the push service has forgotten the browser, and tells the gateway', async () => {
    const { hellos, subscriptions } = autopush;
    const before = await lastSeenAt();
    autopush.forgetBrowsers();
    await autopush.waitForHello({ hellos: hellos + 1 });
    await waitFor(async () => (await lastSeenAt()) > before, { what: 'the new subscription at the gateway', timeoutMs: STEP_MS_MAX });
    expect(autopush.subscriptions).toHaveLength(subscriptions.length + 1);
    const runId = await startRun({ title: 'Found again' });
    await waitForEngagement(runId, { delivered: 1, shown: 1 });
    expect((await finished(runId)).counts).toMatchObject({ targeted: 1, delivered: 1 });
    await firefox.dismissNotification('Found again');
  });

  it('gives up a subscription that the browser ended without a word to the site', async () => {
    await press('#forget');
    expect(autopush.subscriptions.at(-1)).toMatchObject({ isActive: false });
    const gone = await finished(await startRun({ title: 'To nobody' }));
    expect(gone).toMatchObject({
      counts: { targeted: 1, delivered: 0, failed: 1, failed_by_reason: { device_gone: 1 } },
      push: { devices: { targeted: 1, gone: 1 } },
    });
    const skipped = await finished(await startRun({ title: 'To nobody, too' }));
    expect(skipped.counts).toMatchObject({ targeted: 1, skipped: 1, skipped_by_reason: { no_device: 1 } });
  });

  it('subscribes again, and sends nothing after the person turned it off', async () => {
    await press('#allow');
    const runId = await startRun({ title: 'Back again' });
    await waitForEngagement(runId, { delivered: 1, shown: 1 });
    await press('#stop');
    expect(autopush.subscriptions.at(-1)).toMatchObject({ isActive: false });
    const { counts } = await finished(await startRun({ title: 'Turned off' }));
    expect(counts).toMatchObject({ targeted: 1, skipped: 1, skipped_by_reason: { no_device: 1 } });
  });

  it('kept every rule of Web Push on the way', () => {
    expect(autopush.violations).toEqual([]);
    expect(autopush.protocolFaults).toEqual([]);
  });

  /** The autopush server is a push service of the operator's own, under a certificate of its own. */
  async function pushSettings(): Promise<Record<string, string>> {
    const folder = await makeOwnedDirectory(STACK_FOLDER_PREFIX);
    undo.push(() => rm(folder, { recursive: true, force: true }));
    const caFile = join(folder, 'ca.pem');
    await writeFile(caFile, autopush.ca);
    return {
      PUSH_EXTRA_ORIGINS: `${autopush.origin}=mozilla`,
      PUSH_EXTRA_CA_FILE: caFile,
      PUSH_RETRY_DELAY_MS: String(RETRY_DELAY_MS),
      BELFRY_WEB_CLIENT: 'true',
    };
  }

  /** A site on another origin than the gateway, which the environment allows, with one reader who is logged in. */
  async function openShop(): Promise<Shop> {
    await stack.api().call('PUT', READER_PATH, { body: { attributes: { first_name: 'Zoë' } } });
    const subscriberHash = createHmac('sha256', stack.keys.identitySecret).update(READER).digest('hex');
    const { url: gatewayUrl, keys } = stack;
    const opened = await startShop({ gatewayUrl, publicKey: keys.publicKey, subscriberId: READER, subscriberHash });
    await stack.api().call('PATCH', '/v1/environment', { body: { allowed_origins: [opened.origin] } });
    return opened;
  }

  /** Presses a button of the page. @returns what the client answered */
  async function press<Answer>(button: string): Promise<Answer> {
    await page.bringToFront();
    await page.click(button);
    const outcome = await waitFor(async () => page.$eval('#outcome', ({ textContent }) => textContent), {
      what: `the outcome of ${button}`,
      timeoutMs: STEP_MS_MAX,
    });
    expect(outcome).toMatch(/^done /);
    return JSON.parse(outcome.slice('done '.length)) as Answer;
  }

  /** When the gateway last heard of one of the reader's devices. */
  async function lastSeenAt(): Promise<string> {
    const reader = await openInbox(stack.url, stack.keys, READER);
    const { data } = await reader.get<{ data: readonly { last_seen_at: string }[] }>('/v1/push/subscriptions');
    return (
      data
        .map((device) => device.last_seen_at)
        .toSorted()
        .at(-1) ?? ''
    );
  }

  /** Creates a campaign to everybody on push and triggers it. @returns the run's id */
  async function startRun(content: { title: string; body?: string; url?: string }): Promise<string> {
    const body = { channels: ['push'], audience: { all: true }, ...content };
    const { id } = await stack.api().post<{ id: string }>('/v1/campaigns', { body });
    return (await stack.api().post<{ id: string }>(`/v1/campaigns/${id}/trigger`)).id;
  }

  async function finished(runId: string): Promise<RunResource> {
    const read = async (): Promise<RunResource | false> => {
      const run = await stack.api().get<RunResource>(`/v1/runs/${runId}`);
      return run.state === 'finished' && run;
    };
    return waitFor(read, { what: `the end of the run ${runId}`, timeoutMs: STEP_MS_MAX, pollMs: POLL_MS });
  }

  /** Waits until Firefox has spoken of so many messages, and expects what it said of the last one. */
  async function acknowledged(count: number, ackCode: number): Promise<void> {
    const messages = await autopush.waitForAcknowledged(count, { timeoutMs: STEP_MS_MAX });
    expect(messages).toHaveLength(count);
    expect(messages.at(-1)).toMatchObject({ ackCode, faultCode: undefined });
  }

  /** Waits until exactly these notifications are on the screen: one that takes the place of another opens before the other closes. */
  async function waitForNotifications(...titles: string[]): Promise<void> {
    const areShown = async (): Promise<true> => {
      expect(await firefox.notificationTitles()).toEqual(titles);
      return true;
    };
    await waitFor(areShown, { what: `the notifications ${JSON.stringify(titles)}`, timeoutMs: STEP_MS_MAX, pollMs: POLL_MS });
  }

  /** Waits until exactly these kinds are counted for the run. */
  async function waitForEngagement(runId: string, expected: Record<string, number>): Promise<void> {
    const isCounted = async (): Promise<true> => {
      expect(await engagementOf(runId)).toEqual(expected);
      return true;
    };
    await waitFor(isCounted, { what: `the engagement ${JSON.stringify(expected)}`, timeoutMs: STEP_MS_MAX, pollMs: POLL_MS });
  }

  /** What was done with the run's message on push; kinds that nobody did are left out. */
  async function engagementOf(runId: string): Promise<Record<string, number>> {
    const run = await stack.api().get<RunResource>(`/v1/runs/${runId}`);
    const counts = Object.entries(run.engagement_by_channel.push ?? {});
    return Object.fromEntries(counts.filter(([, count]) => count > 0));
  }
});
