/**
 * `identify` and `group` of the browser client in Chromium, on a customer's site that is another origin than the gateway: what developers
 * see in the console when the signature is wrong, with the policy enforced and reporting.
 */
import { createHmac } from 'node:crypto';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { waitFor } from '#testing';
import { showLogsOnFailure } from '../support/report-failure.js';
import { type StandaloneStack, startStandaloneStack } from '../support/standalone-stack.js';
import { browserUnderTest } from './support/browser-under-test.js';
import { openContext, START_MS_MAX, startChromium, STEP_MS_MAX } from './support/chromium.js';
import { type Shop, startShop } from './support/shop.js';

const WRONG = 'f'.repeat(64);
const WRONG_SIGNATURE = 'Incorrect user identity verification signature';
const POLICY_PATH = '/v1/identity/policies/identify';

const { executablePath, skipReason } = browserUnderTest('chromium');

describe.skipIf(skipReason !== undefined)('identify and group in a page', () => {
  let stack: StandaloneStack;
  let browser: Browser;
  let shop: Shop;

  beforeAll(async () => {
    stack = await startStandaloneStack({ BELFRY_WEB_CLIENT: 'true' });
    browser = await startChromium(executablePath);
    const { publicKey } = stack.keys;
    shop = await startShop({ gatewayUrl: stack.url, publicKey, subscriberId: 'user-1', subscriberHash: sign('user-1') });
    await stack.api().call('PATCH', '/v1/environment', { body: { allowed_origins: [shop.origin] } });
  }, START_MS_MAX);
  beforeEach(() => showLogsOnFailure(stack));
  afterAll(async () => {
    await browser?.close();
    await shop?.close();
    await stack?.stop();
  });

  const sign = (id: string) => createHmac('sha256', stack.keys.identitySecret).update(id).digest('hex');

  /** What the client's call resolves with, or the code that it rejects with. */
  function call(page: Page, method: 'identify' | 'group', id: string, traits: object, proof: object): Promise<unknown> {
    const options = { gateway: stack.url, publicKey: stack.keys.publicKey, identity: { subscriberId: 'user-1', subscriberHash: '' } };
    return page.evaluate(`(async () => {
      const { BelfryClient } = await import(${JSON.stringify(`${stack.url}/sdk/v1/belfry.js`)});
      const client = new BelfryClient(${JSON.stringify(options)});
      return client.${method}(${[id, traits, proof].map((value) => JSON.stringify(value)).join(', ')})
        .then((outcome) => outcome, ({ code, status, name }) => ({ code, status, name }));
    })()`);
  }

  it('says a wrong signature in the console, with enforcement on and off, and never the signature', async () => {
    const { context, faults } = await openContext(browser);
    const page = await context.newPage();
    const said: string[] = [];
    page.on('console', (message) => said.push(`${message.type()}: ${message.text()}`));
    const warnings = () => said.filter((line) => line.includes(WRONG_SIGNATURE));
    const saidTimes = (times: number) =>
      waitFor(() => warnings().length === times, { what: `${times} messages in the console`, timeoutMs: STEP_MS_MAX });
    await page.goto(shop.origin);

    const right = { verified: true, verification: 'valid', traits: { verified: ['color'] } };
    expect(await call(page, 'identify', 'user-1', { color: 'red' }, { signature: sign('user-1') })).toMatchObject(right);
    expect(await call(page, 'identify', 'user-1', { color: 'blue' }, { signature: WRONG })).toEqual({
      code: 'identity_mismatch',
      status: 401,
      name: 'BelfryClientError',
    });
    await saidTimes(1);
    expect(warnings()).toEqual([`error: ${WRONG_SIGNATURE} (identity_mismatch): ${stack.url}/docs/errors#identity_mismatch`]);
    expect(await call(page, 'group', 'acme', {}, { signature: WRONG })).toMatchObject({ code: 'identity_mismatch' });
    await saidTimes(2);

    await stack.api().call('PUT', POLICY_PATH, { body: { mode: 'report-only' } });
    const kept = { verified: false, verification: 'identity_mismatch', traits: { unverified: ['color'] } };
    const sendWrong = async () => {
      const outcome = (await call(page, 'identify', 'user-1', { color: 'green' }, { signature: WRONG })) as { code?: string };
      return outcome.code === undefined ? outcome : undefined;
    };
    const outcome = await waitFor(sendWrong, { what: 'the policy to report', timeoutMs: STEP_MS_MAX });
    expect(outcome).toMatchObject(kept);
    await waitFor(() => warnings().length > 2, { what: 'one more message in the console', timeoutMs: STEP_MS_MAX });
    const before = warnings().length;
    expect(await call(page, 'identify', 'user-1', {}, { signature: sign('user-1') })).toMatchObject({ verified: true });
    expect(warnings()).toHaveLength(before);
    expect((await fetch(`${stack.url}/docs/errors`)).status).toBe(200);
    expect(said.filter((line) => line.includes(WRONG) || line.includes(sign('user-1')))).toEqual([]);
    expect(faults.urls.filter((url) => url.includes(WRONG))).toEqual([]);
    await context.close();
  });
});
