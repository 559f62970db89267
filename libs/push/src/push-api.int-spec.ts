import { createECDH, randomBytes, randomUUID } from 'node:crypto';
import { newUuid, encodeId } from '#contracts';
import { buildDocument, findDocumentFaults } from '#http';
import { seedEnvironment } from '#tenancy';
import { createTestDatabase, type TestDatabase } from '#testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DEVICES_PER_SUBSCRIBER_MAX } from './register/manage-devices.js';
import { PushGateway } from './testing/push-app.js';

const ORIGIN = 'https://app.example.com';

function subscription(endpoint = `https://fcm.googleapis.com/fcm/send/${randomUUID()}`) {
  return {
    endpoint,
    p256dh: createECDH('prime256v1').generateKeys().toString('base64url'),
    auth: randomBytes(16).toString('base64url'),
  };
}

describe('the push API', () => {
  let test: TestDatabase;
  let gateway: PushGateway;
  let environment: { environmentId: string; publicKey: string };
  let anna: { subscriberId: string; token: string };

  beforeAll(async () => {
    test = await createTestDatabase();
    gateway = await PushGateway.start(test);
  });
  afterAll(async () => {
    await gateway?.close();
    await test?.close();
  });
  beforeEach(async () => {
    environment = await seedEnvironment(test.database, { allowedOrigins: [ORIGIN] });
    anna = await addSubscriber();
  });

  async function addSubscriber() {
    const subscriberId = newUuid();
    const { environmentId } = environment;
    return { subscriberId, token: await gateway.tokenFor({ environmentId, subscriberId }) };
  }

  const list = async (token: string, query = '') => gateway.call({ url: `/v1/push/subscriptions${query}`, token });
  const devicesOf = async (token: string) => (await list(token)).body['data'] as Record<string, unknown>[];

  it('is documented without faults', () => {
    const document = buildDocument(gateway.app, { title: 'Push', version: '1', description: 'Test' });
    expect(findDocumentFaults(document)).toEqual([]);
  });

  describe('GET /v1/push/vapid-key', () => {
    it('gives the same key by public key and by session, a point of 65 bytes', async () => {
      const byKey = await gateway.call({ url: `/v1/push/vapid-key?public_key=${environment.publicKey}` });
      const bySession = await gateway.call({ url: '/v1/push/vapid-key', token: anna.token });
      expect(byKey.status).toBe(200);
      expect(bySession.body).toEqual(byKey.body);
      const key = Buffer.from(String(byKey.body['public_key']), 'base64url');
      expect([key.length, key[0]]).toEqual([65, 4]);
    });

    it('makes one key per environment, whoever asks first', async () => {
      const question = { url: `/v1/push/vapid-key?public_key=${environment.publicKey}` };
      const other = await PushGateway.start(test);
      const answers = await Promise.all([gateway, other, gateway, other].map((process) => process.call(question)));
      await other.close();
      expect(new Set(answers.map(({ body }) => body['public_key'])).size).toBe(1);
      const neighbour = await seedEnvironment(test.database);
      const theirs = await gateway.call({ url: `/v1/push/vapid-key?public_key=${neighbour.publicKey}` });
      expect(theirs.body['public_key']).not.toBe(answers[0]?.body['public_key']);
    });

    it('answers 404 without a known environment, 401 for a bad token and 403 for a page that may not ask', async () => {
      expect(await gateway.call({ url: '/v1/push/vapid-key' })).toMatchObject({
        status: 404,
        body: { code: 'push_environment_not_found' },
      });
      expect(await gateway.call({ url: '/v1/push/vapid-key?public_key=pk_prod_unknown' })).toMatchObject({ status: 404 });
      expect(await gateway.call({ url: '/v1/push/vapid-key', token: 'bad' })).toMatchObject({ status: 401 });
      const url = `/v1/push/vapid-key?public_key=${environment.publicKey}`;
      expect(await gateway.call({ url, headers: { origin: 'https://evil.example' } })).toMatchObject({ status: 403 });
      const allowed = await gateway.call({ url, headers: { origin: ORIGIN } });
      expect(allowed).toMatchObject({ status: 200, headers: { 'access-control-allow-origin': ORIGIN } });
    });
  });

  describe('/v1/push/subscriptions', () => {
    it('registers a browser and shows neither its endpoint nor its keys, in answers or in the table', async () => {
      const device = subscription();
      const answer = await gateway.register(anna.token, device);
      expect(answer).toMatchObject({
        status: 201,
        body: { id: expect.stringMatching(/^dev_/) as string, vendor: 'fcm', state: 'active', user_agent: 'lightMyRequest' },
      });
      const [row] = await test.database.query<{ text: string }>({
        text: 'SELECT device::text AS text FROM push.device AS device WHERE environment_id = $1',
        values: [environment.environmentId],
      });
      const authHex = Buffer.from(device.auth, 'base64url').toString('hex');
      for (const secret of [device.endpoint, device.endpoint.split('/').pop() ?? '', device.auth, authHex]) {
        expect(JSON.stringify(answer.body)).not.toContain(secret);
        expect(row?.text).not.toContain(secret);
      }
    });

    it('takes the same endpoint again for the same device, also with new keys and after its removal', async () => {
      const device = subscription();
      const first = await gateway.register(anna.token, device);
      const second = await gateway.register(anna.token, { ...subscription(), endpoint: device.endpoint });
      expect(second.body).toMatchObject({ id: first.body['id'], created_at: first.body['created_at'] });
      expect(Date.parse(String(second.body['last_seen_at']))).toBeGreaterThanOrEqual(Date.parse(String(first.body['last_seen_at'])));
      await gateway.call({ method: 'DELETE', url: `/v1/push/subscriptions/${String(first.body['id'])}`, token: anna.token });
      expect(await devicesOf(anna.token)).toEqual([]);
      expect((await gateway.register(anna.token, device)).body).toMatchObject({ id: first.body['id'], state: 'active' });
      expect(await devicesOf(anna.token)).toHaveLength(1);
    });

    it('moves a browser to the subscriber who uses it now', async () => {
      const device = subscription();
      const ben = await addSubscriber();
      await gateway.register(anna.token, device);
      await gateway.register(ben.token, device);
      expect(await devicesOf(anna.token)).toEqual([]);
      expect(await devicesOf(ben.token)).toHaveLength(1);
    });

    it('gives a device to nobody who knows its endpoint and not its keys', async () => {
      const device = subscription();
      const ben = await addSubscriber();
      const { body } = await gateway.register(anna.token, device);
      for (const keys of [subscription(), { ...device, p256dh: subscription().p256dh }, { ...device, auth: subscription().auth }]) {
        const taking = { endpoint: device.endpoint, p256dh: keys.p256dh, auth: keys.auth };
        expect(await gateway.register(ben.token, taking)).toMatchObject({ status: 404, body: { code: 'push_subscription_unproven' } });
      }
      expect(await devicesOf(ben.token)).toEqual([]);
      expect(await devicesOf(anna.token)).toMatchObject([{ id: body['id'], state: 'active' }]);
      await gateway.call({ method: 'DELETE', url: `/v1/push/subscriptions/${String(body['id'])}`, token: anna.token });
      // What was given up has no keys any more, and belongs to whoever subscribes.
      expect((await gateway.register(ben.token, { ...subscription(), endpoint: device.endpoint })).status).toBe(201);
    });

    it('keeps the same endpoint apart in two environments', async () => {
      const device = subscription();
      const first = await gateway.register(anna.token, device);
      environment = await seedEnvironment(test.database);
      const stranger = await addSubscriber();
      const second = await gateway.register(stranger.token, device);
      expect(second.body['id']).not.toBe(first.body['id']);
      expect(await devicesOf(anna.token)).toHaveLength(1);
    });

    it.each([
      'https://evil.example/push',
      'http://fcm.googleapis.com/fcm/send/x',
      'https://127.0.0.1/push',
      'https://169.254.169.254/latest/meta-data',
      'https://fcm.googleapis.com:8443/fcm/send/x',
      'https://fcm.googleapis.com@evil.example/x',
      'https://fcm.googleapis.com.evil.example/x',
      'file:///etc/passwd',
      'no url',
    ])('refuses the endpoint %s', async (endpoint) => {
      expect(await gateway.register(anna.token, subscription(endpoint))).toMatchObject({
        status: 422,
        body: { code: 'push_endpoint_not_allowed', errors: [{ pointer: '/endpoint' }] },
      });
    });

    it('refuses keys that nothing can be encrypted for, naming the place', async () => {
      const offCurve = Buffer.concat([Buffer.of(4), Buffer.alloc(64, 1)]).toString('base64url');
      expect(await gateway.register(anna.token, { ...subscription(), p256dh: offCurve })).toMatchObject({
        status: 400,
        body: { code: 'validation_failed', errors: [{ pointer: '/keys/p256dh' }] },
      });
      expect(await gateway.register(anna.token, { ...subscription(), auth: 'c2hvcnQ' })).toMatchObject({
        status: 400,
        body: { errors: [{ pointer: '/keys/auth' }] },
      });
    });

    it('keeps the devices that were seen last when there are too many, also when they come at once', async () => {
      const first = await gateway.register(anna.token, subscription());
      await Promise.all(Array.from({ length: DEVICES_PER_SUBSCRIBER_MAX }, () => gateway.register(anna.token, subscription())));
      const devices = (await list(anna.token, '?limit=100')).body['data'] as { id: string }[];
      expect(devices).toHaveLength(DEVICES_PER_SUBSCRIBER_MAX);
      expect(devices.map(({ id }) => id)).not.toContain(first.body['id']);
    });

    it('lists page by page, oldest first', async () => {
      const ids: unknown[] = [];
      for (let index = 0; index < 3; index += 1) ids.push((await gateway.register(anna.token, subscription())).body['id']);
      const page = await list(anna.token, '?limit=2');
      expect((page.body['data'] as { id: string }[]).map(({ id }) => id)).toEqual(ids.slice(0, 2));
      const next = await list(anna.token, `?limit=2&cursor=${String(page.body['next_cursor'])}`);
      expect(next.body).toMatchObject({ data: [{ id: ids[2] }], has_more: false, next_cursor: null });
      expect(await list(anna.token, '?cursor=bad')).toMatchObject({ status: 400, body: { code: 'cursor_invalid' } });
    });

    it('removes a device for good, once or more often, and only one’s own', async () => {
      const { body } = await gateway.register(anna.token, subscription());
      const url = `/v1/push/subscriptions/${String(body['id'])}`;
      const ben = await addSubscriber();
      expect(await gateway.call({ method: 'DELETE', url, token: ben.token })).toMatchObject({
        status: 404,
        body: { code: 'push_device_not_found' },
      });
      expect(await devicesOf(anna.token)).toHaveLength(1);
      expect((await gateway.call({ method: 'DELETE', url, token: anna.token })).status).toBe(204);
      expect((await gateway.call({ method: 'DELETE', url, token: anna.token })).status).toBe(204);
      for (const id of [encodeId('device', newUuid()), 'nonsense']) {
        expect((await gateway.call({ method: 'DELETE', url: `/v1/push/subscriptions/${id}`, token: anna.token })).status).toBe(404);
      }
    });

    it('needs a session', async () => {
      expect(await gateway.call({ url: '/v1/push/subscriptions' })).toMatchObject({ status: 401, body: { code: 'session_missing' } });
    });
  });
});
