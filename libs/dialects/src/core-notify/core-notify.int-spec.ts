import { Module } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { BelfryConfig } from '#config';
import { databaseConfig, DatabaseModule } from '#database';
import { engagementConfig } from '#engagement';
import { eventLogConfig, EventLogModule } from '#event-log';
import { buildDocument, createHttpApp, findDocumentFaults, httpConfig } from '#http';
import { identityConfig, IdentityApiModule, ReceiptTokens, seedIdentitySecret, signSubscriberId } from '#identity';
import { inboxConfig } from '#inbox';
import { pushConfig } from '#push';
import { telemetryConfig } from '#telemetry';
import { SecretBox, seedEnvironment, tenancyConfig, TenancyModule } from '#tenancy';
import { createTestDatabase, type TestDatabase } from '#testing';
import { DialectsModule } from '../dialects.module.js';
import { PixelFixture, type PixelSubscription } from '../testing/pixel-fixture.store.js';
import { VISITOR_PREFIX } from './subscribe-visitor.js';

const SECTIONS = [
  httpConfig,
  telemetryConfig,
  databaseConfig,
  eventLogConfig,
  tenancyConfig,
  identityConfig,
  inboxConfig,
  pushConfig,
  engagementConfig,
];
const ORIGIN = 'https://shop.example';
const UNKNOWN_KEY = 'pk_prod_unknown';
const LATER = new Date('2099-01-01T00:00:00.000Z');
const DAY_MS = 86_400_000;

let test: TestDatabase;
let app: NestFastifyApplication;
let pixelKey: string;
let secret: string;
let fixture: PixelFixture;

async function makeApp(env: Record<string, string> = {}): Promise<NestFastifyApplication> {
  @Module({
    imports: [DatabaseModule.forRoot({ url: test.url }), EventLogModule.forRoot(), TenancyModule, IdentityApiModule, DialectsModule],
  })
  class TestModule {}
  const variables = { BELFRY_SECRET_KEY: Buffer.alloc(32, 7).toString('base64'), LOG_LEVEL: 'silent', ...env };
  const made = await createHttpApp(TestModule, { name: 'test', config: BelfryConfig.load(SECTIONS, variables) });
  await made.init();
  return made;
}

async function seed() {
  const { environmentId, publicKey } = await seedEnvironment(test.database, { allowedOrigins: [ORIGIN] });
  const sealed = await seedIdentitySecret(test.database, app.get(SecretBox), environmentId);
  return { publicKey, secret: sealed.secret, fixture: new PixelFixture(test.database, environmentId) };
}

beforeAll(async () => {
  test = await createTestDatabase();
  app = await makeApp();
});
afterAll(async () => {
  await app?.close();
  await test?.close();
});
beforeEach(async () => {
  const seeded = await seed();
  pixelKey = seeded.publicKey;
  secret = seeded.secret;
  fixture = seeded.fixture;
});

async function send(path: string, payload: object | string, headers: Record<string, string> = {}, to = app) {
  const answer = await to.inject({
    method: 'POST',
    url: `/v1/core-notify/${path}`,
    payload: typeof payload === 'string' ? payload : JSON.stringify(payload),
    headers: { 'content-type': 'application/json', ...headers },
  });
  const body = answer.body === '' ? {} : answer.json<Record<string, unknown>>();
  return { status: answer.statusCode, headers: answer.headers, body };
}

const subscribe = (subscription: PixelSubscription, facts: object = {}, headers?: Record<string, string>) =>
  send('subscribe', { pixel_key: pixelKey, subscription, ...facts }, headers);
const unsubscribe = (subscription: PixelSubscription) => send('unsubscribe', { pixel_key: pixelKey, subscription });
const proofOf = (id: string) => ({ subscriber_id: id, subscriber_hash: signSubscriberId(id, secret) });
const sign = (receipt = fixture.receipt(), expiresAt = LATER) => app.get(ReceiptTokens, { strict: false }).sign(receipt, expiresAt);

it('is documented without faults', () => {
  expect(findDocumentFaults(buildDocument(app, { title: 'Pixel', version: '1', description: 'Test' }))).toEqual([]);
});

describe('every route', () => {
  const bodies: readonly (readonly [string, () => object])[] = [
    ['subscribe', () => ({ subscription: PixelFixture.subscription() })],
    ['unsubscribe', () => ({ subscription: PixelFixture.subscription() })],
    ['click', () => ({ receipt: sign() })],
    ['event', () => ({ receipt: sign(), event: 'shown' })],
  ];

  it.each(bodies)('%s knows environments by their public key, and asks the origin of the page before it writes', async (path, body) => {
    expect(await send(path, { pixel_key: UNKNOWN_KEY, ...body() })).toMatchObject({
      status: 404,
      body: { code: 'push_environment_not_found' },
    });
    const evil = await send(path, { pixel_key: pixelKey, ...body() }, { origin: 'https://evil.example' });
    expect(evil).toMatchObject({ status: 403, body: { code: 'origin_not_allowed' } });
    expect(evil.headers['access-control-allow-origin']).toBeUndefined();
    expect([await fixture.devices(), await fixture.engagement(), await fixture.countSubscribers()]).toEqual([[], [], 0]);
    const allowed = await send(path, { pixel_key: pixelKey, ...body() }, { origin: ORIGIN });
    expect(allowed.status).toBeLessThan(300);
    expect(allowed.headers['access-control-allow-origin']).toBe(ORIGIN);
    const headers = { origin: ORIGIN, 'access-control-request-method': 'POST' };
    expect((await app.inject({ method: 'OPTIONS', url: `/v1/core-notify/${path}`, headers })).statusCode).toBe(204);
  });

  it('refuses members that nobody knows, a target of a redirect among them', async () => {
    for (const [path, body] of bodies) {
      const more = { pixel_key: pixelKey, ...body(), url: 'https://evil.example/' };
      expect(await send(path, more)).toMatchObject({ status: 400, body: { code: 'validation_failed' } });
    }
  });
});

describe('GET /v1/core-notify/vapid-key', () => {
  const read = (key: string, headers = {}) => app.inject({ url: `/v1/core-notify/vapid-key?pixel_key=${key}`, headers });

  it('gives the key that the push API gives, to pages that may ask', async () => {
    const answer = await read(pixelKey, { origin: ORIGIN });
    const same = await app.inject({ url: `/v1/push/vapid-key?public_key=${pixelKey}` });
    expect([answer.statusCode, answer.json()]).toEqual([200, same.json()]);
    expect((await read(pixelKey, { origin: 'https://evil.example' })).statusCode).toBe(403);
    expect((await read(UNKNOWN_KEY)).json()).toMatchObject({ status: 404, code: 'push_environment_not_found' });
    expect((await app.inject({ url: '/v1/core-notify/vapid-key' })).statusCode).toBe(400);
  });
});

describe('POST /v1/core-notify/subscribe', () => {
  it('registers a visitor whom nobody knows as a subscriber of its own, once, also at the same time', async () => {
    const browser = PixelFixture.subscription();
    const answers = await Promise.all([1, 2, 3].map(() => subscribe(browser)));
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201]);
    expect(new Set(answers.map(({ body }) => body['id'])).size).toBe(1);
    expect(JSON.stringify(answers)).not.toContain(browser.endpoint);
    const devices = await fixture.devices();
    expect(devices).toMatchObject([{ state: 'active', verified: false }]);
    expect(devices[0]?.externalId.startsWith(VISITOR_PREFIX)).toBe(true);
    await subscribe(PixelFixture.subscription());
    expect(new Set((await fixture.devices()).map(({ externalId }) => externalId)).size).toBe(2);
    expect(await fixture.countSubscribers()).toBe(2);
  });

  it('registers a person with a proof, and refuses a wrong or a broken one without leaving anything', async () => {
    expect((await subscribe(PixelFixture.subscription(), proofOf('user-1'))).status).toBe(201);
    expect(await fixture.devices()).toMatchObject([{ externalId: 'user-1', verified: true }]);
    const wrong = [
      [{ ...proofOf('user-1'), subscriber_hash: 'f'.repeat(64) }, 401, 'identity_mismatch'],
      [{ subscriber_id: 'user-2' }, 401, 'identity_missing'],
      [{ subscriber_id: 7, subscriber_hash: 'f'.repeat(64) }, 400, 'subscriber_id_not_string'],
      [{ subscriber_id: null }, 400, 'subscriber_id_not_string'],
      [{ subscriber_hash: 'f'.repeat(64) }, 400, 'subscriber_id_not_string'],
      [{ ...proofOf('user-1'), subscriber_hash: 'zz' }, 401, 'identity_malformed'],
    ] as const;
    for (const [facts, status, code] of wrong)
      expect(await subscribe(PixelFixture.subscription(), facts)).toMatchObject({ status, body: { code } });
    const unknown = await send('subscribe', { pixel_key: UNKNOWN_KEY, subscription: PixelFixture.subscription(), ...proofOf('user-1') });
    expect(unknown).toMatchObject({ status: 401, body: { code: 'identity_mismatch' } });
    expect([(await fixture.devices()).length, await fixture.countSubscribers()]).toEqual([1, 1]);
  });

  it('never takes a device from somebody: a stranger who knows the endpoint is refused, its own browser changes nothing', async () => {
    const browser = PixelFixture.subscription();
    const { body } = await subscribe(browser, proofOf('user-1'));
    const stranger = { endpoint: browser.endpoint, keys: PixelFixture.subscription().keys };
    for (const facts of [{}, proofOf('user-2')])
      expect(await subscribe(stranger, facts)).toMatchObject({ status: 404, body: { code: 'push_subscription_unproven' } });
    expect(await subscribe(browser)).toMatchObject({ status: 201, body: { id: body['id'] } });
    expect(await fixture.devices()).toMatchObject([{ externalId: 'user-1', state: 'active' }]);
    expect(await fixture.countSubscribers()).toBe(2);
  });

  it('makes the device of a visitor the person’s who is proven later', async () => {
    const browser = PixelFixture.subscription();
    const { body } = await subscribe(browser);
    expect((await subscribe(browser, proofOf('user-1'))).body['id']).toBe(body['id']);
    expect(await fixture.devices()).toMatchObject([{ externalId: 'user-1', verified: true }]);
  });

  it.each([
    'http://fcm.googleapis.com/x',
    'https://fcm.googleapis.com.evil.example/x',
    'https://fcm.googleapis.com@evil.example/x',
    'https://169.254.169.254/latest',
    'https://localhost:5432/',
    'javascript:alert(1)',
    'not a url',
  ])('takes no endpoint that is not one of a known push service: %s', async (endpoint) => {
    const refused = { status: 422, body: { code: 'push_endpoint_not_allowed' } };
    expect(await subscribe(PixelFixture.subscription(endpoint))).toMatchObject(refused);
    expect(await subscribe(PixelFixture.subscription(endpoint), proofOf('user-1'))).toMatchObject(refused);
    expect(await fixture.countSubscribers()).toBe(0);
  });

  it('bounds the visitors that one network can make, and no others', async () => {
    const limited = await makeApp({ IDENTITY_UNVERIFIED_PER_MINUTE: '2' });
    try {
      const call = (facts: object) => send('subscribe', { pixel_key: pixelKey, ...facts }, {}, limited);
      const browser = PixelFixture.subscription();
      expect((await call({ subscription: browser })).status).toBe(201);
      expect((await call({ subscription: browser })).status).toBe(201);
      expect((await call({ subscription: PixelFixture.subscription() })).status).toBe(201);
      const refused = await call({ subscription: PixelFixture.subscription() });
      expect(refused).toMatchObject({ status: 429, body: { code: 'rate_limited' } });
      expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
      expect((await call({ subscription: PixelFixture.subscription(), ...proofOf('user-1') })).status).toBe(201);
      expect(await fixture.countSubscribers()).toBe(3);
    } finally {
      await limited.close();
    }
  });
});

describe('POST /v1/core-notify/unsubscribe', () => {
  it('ends the device of whoever has its keys, and tells nobody else whether there is one', async () => {
    const browser = PixelFixture.subscription();
    await subscribe(browser, proofOf('user-1'));
    expect(await unsubscribe({ endpoint: browser.endpoint, keys: PixelFixture.subscription().keys })).toMatchObject({ status: 204 });
    expect(await unsubscribe(PixelFixture.subscription())).toMatchObject({ status: 204 });
    expect(await fixture.devices()).toMatchObject([{ state: 'active' }]);
    expect(await unsubscribe(browser)).toMatchObject({ status: 204, body: {} });
    expect(await fixture.devices()).toMatchObject([{ state: 'unsubscribed' }]);
    expect(await unsubscribe(browser)).toMatchObject({ status: 204 });
    expect((await subscribe(browser)).status).toBe(201);
    expect(await fixture.devices()).toMatchObject([{ state: 'active', verified: false }]);
  });

  it('knows the device of its own environment alone', async () => {
    const browser = PixelFixture.subscription();
    await subscribe(browser);
    const other = await seed();
    expect((await send('unsubscribe', { pixel_key: other.publicKey, subscription: browser })).status).toBe(204);
    expect(await fixture.devices()).toMatchObject([{ state: 'active' }]);
  });
});

describe('POST /v1/core-notify/click and /event', () => {
  it('count what the signed receipt says, also as navigator.sendBeacon sends it, and lead nowhere', async () => {
    const receipt = fixture.receipt();
    const beacon = { 'content-type': 'text/plain;charset=UTF-8', origin: ORIGIN };
    const click = await send('click', JSON.stringify({ pixel_key: pixelKey, receipt: sign(receipt) }), beacon);
    expect(click).toMatchObject({ status: 204, body: {} });
    expect(click.headers.location).toBeUndefined();
    const event = { pixel_key: pixelKey, receipt: sign(receipt), event: 'dismissed', occurred_at: '2020-01-01T00:00:00Z' };
    expect((await send('event', event)).status).toBe(204);
    const told = { message_key: receipt.messageKey, subscriber_id: receipt.subscriberId, channel: 'push' };
    const recorded = await fixture.engagement();
    expect(recorded).toMatchObject([
      { ...told, kind: 'clicked' },
      { ...told, kind: 'dismissed' },
    ]);
    expect(Date.parse(recorded[1]?.occurred_at ?? '')).toBeGreaterThan(Date.now() - DAY_MS);
  });

  it('refuse a receipt that is forged, expired or of another environment, and what cannot happen on its channel', async () => {
    const other = await seed();
    const good = sign();
    const refusals = [
      ['click', { receipt: `${good.slice(0, -2)}AA` }, 'receipt_invalid'],
      ['click', { receipt: '' }, 'receipt_invalid'],
      ['click', { receipt: sign(other.fixture.receipt()) }, 'receipt_invalid'],
      ['click', { receipt: sign(fixture.receipt(), new Date(Date.now() - 31 * DAY_MS)) }, 'receipt_expired'],
      ['event', { receipt: good, event: 'read' }, 'kind_not_of_channel'],
    ] as const;
    for (const [path, facts, reason] of refusals)
      expect(await send(path, { pixel_key: pixelKey, ...facts })).toMatchObject({
        status: 422,
        body: { code: 'pixel_event_refused', reason },
      });
    expect(await send('event', { pixel_key: pixelKey, receipt: good, event: 'enjoyed' })).toMatchObject({ status: 400 });
    expect(await send('click', { pixel_key: pixelKey, receipt: 'x'.repeat(2_000) })).toMatchObject({ status: 400 });
    expect([...(await fixture.engagement()), ...(await other.fixture.engagement())]).toEqual([]);
  });
});
