import { createECDH, randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { newUuid } from '#contracts';
import { seedEnvironment } from '#tenancy';
import { createTestDatabase, type TestDatabase } from '#testing';
import { PushGateway } from '../testing/push-app.js';

const ORIGIN = 'https://app.example.com';

function subscription() {
  return {
    endpoint: `https://updates.push.services.mozilla.com/wpush/v2/${randomUUID()}`,
    keys: { p256dh: createECDH('prime256v1').generateKeys().toString('base64url'), auth: randomBytes(16).toString('base64url') },
  };
}

type Subscription = ReturnType<typeof subscription>;

describe('POST /v1/push/subscriptions/renew', () => {
  let test: TestDatabase;
  let gateway: PushGateway;
  let environment: { environmentId: string; publicKey: string };
  let token: string;
  let old: Subscription;
  let oldId: string;

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
    token = await gateway.tokenFor({ environmentId: environment.environmentId, subscriberId: newUuid() });
    old = subscription();
    oldId = await register(old);
  });

  async function register({ endpoint, keys }: Subscription): Promise<string> {
    return String((await gateway.register(token, { endpoint, ...keys })).body['id']);
  }

  const renew = (body: object, headers: Record<string, string> = {}) =>
    gateway.call({ method: 'POST', url: '/v1/push/subscriptions/renew', payload: { public_key: environment.publicKey, ...body }, headers });

  async function deviceIds(): Promise<unknown[]> {
    const { body } = await gateway.call({ url: '/v1/push/subscriptions', token });
    return (body['data'] as { id: string; state: string }[]).map(({ id }) => id);
  }

  it('reaches the same person by the new subscription, and no longer by the old one', async () => {
    const answer = await renew({ old, new: subscription() }, { origin: ORIGIN });
    expect(answer).toMatchObject({
      status: 201,
      headers: { 'access-control-allow-origin': ORIGIN },
      body: { state: 'active', vendor: 'mozilla' },
    });
    expect(await deviceIds()).toEqual([answer.body['id']]);
    expect(answer.body['id']).not.toBe(oldId);
  });

  it('does not take the device of another person in the place of the old one', async () => {
    const theirs = subscription();
    const theirToken = await gateway.tokenFor({ environmentId: environment.environmentId, subscriberId: newUuid() });
    await gateway.register(theirToken, { endpoint: theirs.endpoint, ...theirs.keys });
    const taking = { old, new: { endpoint: theirs.endpoint, keys: subscription().keys } };
    expect(await renew(taking)).toMatchObject({ status: 404, body: { code: 'push_subscription_unproven' } });
    expect(await deviceIds()).toEqual([oldId]);
  });

  it('changes nothing when the browser kept its endpoint and keys', async () => {
    expect((await renew({ old, new: old })).body).toMatchObject({ id: oldId });
    expect(await deviceIds()).toEqual([oldId]);
  });

  it('refuses everybody who does not hold the secret of the old subscription, always with the same words', async () => {
    const foreign = await seedEnvironment(test.database, { allowedOrigins: [ORIGIN] });
    const refused = [
      await renew({ old: { ...old, keys: { ...old.keys, auth: subscription().keys.auth } }, new: subscription() }),
      await renew({ old: { ...old, keys: { ...old.keys, p256dh: subscription().keys.p256dh } }, new: subscription() }),
      await renew({ old: subscription(), new: subscription() }),
      await renew({ old: { ...old, endpoint: 'https://evil.example/x' }, new: subscription() }),
      await renew({ public_key: foreign.publicKey, old, new: subscription() }),
      await renew({ public_key: 'pk_live_unknown', old, new: subscription() }),
    ];
    const [first] = refused;
    for (const { status, body } of refused) {
      expect(status).toBe(404);
      expect({ ...body, request_id: '' }).toEqual({ ...first?.body, request_id: '' });
    }
    expect(first?.body).toMatchObject({ code: 'push_subscription_unproven' });
    expect(await deviceIds()).toEqual([oldId]);
  });

  it('cannot bring back a device that was removed: its secret is gone', async () => {
    await gateway.call({ method: 'DELETE', url: `/v1/push/subscriptions/${oldId}`, token });
    expect((await renew({ old, new: subscription() })).status).toBe(404);
    expect(await deviceIds()).toEqual([]);
  });

  it('refuses a new endpoint of no push service, and pages of other sites', async () => {
    expect(await renew({ old, new: { ...subscription(), endpoint: 'https://127.0.0.1/x' } })).toMatchObject({
      status: 422,
      body: { code: 'push_endpoint_not_allowed' },
    });
    expect(await renew({ old, new: subscription() }, { origin: 'https://evil.example' })).toMatchObject({ status: 403 });
    expect(await deviceIds()).toEqual([oldId]);
  });

  it.each([{}, { old: 7 }, { new: {} }, { old: { endpoint: 'x', keys: { p256dh: 'A', auth: 'A' } } }])(
    'refuses the body %j',
    async (change) => {
      expect(
        (await renew({ old, new: subscription(), ...change, ...(Object.keys(change).length === 0 ? { more: 1 } : {}) })).body,
      ).toMatchObject({
        status: 400,
        code: 'validation_failed',
      });
    },
  );
});
