import { createHash, createHmac, createSecretKey } from 'node:crypto';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newKeyText, SecretBox } from '#tenancy';
import { newUuid } from '#contracts';
import { KeyUsage } from '../secrets/key-usage.js';
import { seedIdentitySecret, signSubscriberId } from '../testing/seed-identity.js';
import { clock, proofOf, SessionApp, type SeededTenant } from '../testing/session-app.js';

let gateway: SessionApp;
beforeAll(async () => {
  gateway = await SessionApp.open({ IDENTITY_DIAGNOSES_PER_MINUTE: '1000' });
});
afterAll(() => gateway?.close());

const diagnose = (tenant: SeededTenant, payload: object) => gateway.call({ url: '/v1/identity/diagnose', token: tenant.apiKey, payload });
const hashOf = (tenant: SeededTenant, id: string) => signSubscriberId(id, tenant.secret);
const mistakesOf = async (tenant: SeededTenant, payload: object) =>
  (await diagnose(tenant, payload)).body.mistakes.map(({ mistake }: { mistake: string }) => mistake);

/** A second environment of the same workspace, with a secret of its own. */
async function addSibling(tenant: SeededTenant): Promise<{ environmentId: string; secret: string }> {
  const environmentId = newUuid();
  const publicKey = newKeyText('pk', 'development');
  await gateway.test.database.execute({
    text: `INSERT INTO tenancy.environment (id, workspace_id, name, kind, public_key) VALUES ($1, $2, 'sibling', 'development', $3)`,
    values: [environmentId, tenant.workspaceId, publicKey],
  });
  const { secret } = await seedIdentitySecret(gateway.test.database, gateway.app.get(SecretBox), environmentId);
  return { environmentId, secret };
}

describe('POST /v1/identity/diagnose', () => {
  it('says that a right proof is right, and how much it is worth', async () => {
    const tenant = await gateway.seed();
    const { body } = await diagnose(tenant, { subscriber_id: 'user-123', subscriber_hash: hashOf(tenant, 'user-123') });
    expect(body).toMatchObject({ valid: true, reason: 'valid', code: null, grade: 'static', mistakes: [] });
  });

  it('names the mistake, the key and what to do, and shows no secret', async () => {
    const tenant = await gateway.seed();
    const hash = createHash('sha256').update(`${tenant.secret}user-123`).digest('base64');
    const answer = await diagnose(tenant, { subscriber_id: 'user-123', subscriber_hash: hash });
    expect(answer).toMatchObject({
      status: 200,
      body: {
        valid: false,
        reason: 'mismatch',
        code: 'identity_mismatch',
        mistakes: [{ mistake: 'sha256_not_hmac', explanation: expect.any(String), fix: expect.stringContaining('HMAC-SHA256') }],
        key: { id: expect.stringMatching(/^ids_/), last_four: tenant.secret.slice(-4), live: true },
      },
    });
    expect(JSON.stringify(answer.body)).not.toContain(tenant.secret.slice(0, -4));
  });

  it('knows the keys of the other environments of the workspace, and of no other workspace', async () => {
    const [tenant, stranger] = [await gateway.seed(), await gateway.seed()];
    const sibling = await addSibling(tenant);
    const by = (secret: string) => ({ subscriber_id: 'user-123', subscriber_hash: signSubscriberId('user-123', secret) });
    expect(await mistakesOf(tenant, by(sibling.secret))).toEqual(['other_environment_secret']);
    expect(await diagnose(tenant, by(stranger.secret))).toMatchObject({ body: { reason: 'mismatch', mistakes: [], key: null } });
  });

  it('looks into no id that is longer than any mistake makes it', async () => {
    const tenant = await gateway.seed();
    const send = (id: string, hash: string) => diagnose(tenant, { subscriber_id: id, subscriber_hash: hash });
    const near = 'x'.repeat(1_024);
    expect(await send(near, hashOf(tenant, near))).toMatchObject({ body: { reason: 'id_invalid', key: { live: true } } });
    const huge = 'x'.repeat(500_000);
    expect(await send(huge, hashOf(tenant, huge))).toMatchObject({ status: 200, body: { reason: 'id_invalid', mistakes: [], key: null } });
    for (const id of ['a\0b', '\ud800']) expect((await send(id, 'f'.repeat(64))).status).toBe(400);
  });

  it('knows retired keys', async () => {
    const tenant = await gateway.seed();
    const [{ id }] = (await gateway.call({ method: 'GET', url: '/v1/identity-secrets', token: tenant.apiKey })).body.data;
    await gateway.call({ method: 'DELETE', url: `/v1/identity-secrets/${id}`, token: tenant.apiKey });
    const { body } = await diagnose(tenant, { subscriber_id: 'user-123', subscriber_hash: hashOf(tenant, 'user-123') });
    expect(body).toMatchObject({ mistakes: [{ mistake: 'retired_secret' }], key: { id, live: false } });
  });

  it('tries the e-mail address that the subscriber is known by, and the one that was given', async () => {
    const tenant = await gateway.seed();
    const send = (address: string, facts: object = {}) =>
      mistakesOf(tenant, { subscriber_id: 'user-123', subscriber_hash: hashOf(tenant, address), ...facts });
    expect(await send('jane@example.com')).toEqual([]);
    expect(await send('jane@example.com', { email: 'jane@example.com' })).toEqual(['email_instead_of_id']);
    expect(await send('acme', { company_id: 'acme' })).toEqual(['company_instead_of_subscriber']);
    await gateway.openSession(tenant);
    await gateway.test.database.execute({
      text: `UPDATE subscribers.subscriber SET attributes = '{"email": "known@example.com"}' WHERE environment_id = $1`,
      values: [tenant.environmentId],
    });
    expect(await send('known@example.com')).toEqual(['email_instead_of_id']);
  });

  it('tries the companies that the subscriber is known to be a member of', async () => {
    const tenant = await gateway.seed();
    const ask = () => mistakesOf(tenant, { subscriber_id: 'user-123', subscriber_hash: hashOf(tenant, 'acme') });
    expect(await ask()).toEqual([]);
    const payload = { public_key: tenant.publicKey, subscriber_id: 'user-123', company_id: 'acme', company_hash: hashOf(tenant, 'acme') };
    const member = { ...payload, subscriber_hash: hashOf(tenant, 'user-123') };
    expect((await gateway.call({ url: '/v1/group', payload: member })).status).toBe(200);
    expect(await ask()).toEqual(['company_instead_of_subscriber']);
  });

  it('names a line end after the id that is sent, whatever was hashed', async () => {
    const tenant = await gateway.seed();
    for (const hashed of ['user-123', 'user-123\n']) {
      expect(await mistakesOf(tenant, { subscriber_id: 'user-123\n', subscriber_hash: hashOf(tenant, hashed) })).toEqual([
        'id_trailing_newline',
      ]);
    }
  });

  it('names an id that is sent as a number, and times that are wrong', async () => {
    const tenant = await gateway.seed();
    expect(await mistakesOf(tenant, { subscriber_id: 123, subscriber_hash: hashOf(tenant, '123') })).toEqual(['id_as_number']);
    const seconds = Math.floor(clock.now().getTime() / 1_000);
    const milliseconds = await diagnose(tenant, {
      subscriber_id: 'user-123',
      subscriber_hash: hashOf(tenant, `user-123.${seconds}000`),
      timestamp: seconds * 1_000,
    });
    expect(milliseconds.body).toMatchObject({ code: 'timestamp_invalid', mistakes: [{ mistake: 'timestamp_in_milliseconds' }] });
    const old = { subscriber_id: 'user-123', subscriber_hash: hashOf(tenant, `user-123.${seconds - 301}`), timestamp: seconds - 301 };
    expect((await diagnose(tenant, old)).body).toMatchObject({ code: 'identity_expired', mistakes: [], key: { live: true } });
  });

  it('looks at tokens too', async () => {
    const tenant = await gateway.seed();
    const sign = (secret: string, facts: object = {}) =>
      new SignJWT({ sub: 'user-123', iss: tenant.publicKey, aud: 'inbox', exp: Math.floor(clock.now().getTime() / 1_000) + 600, ...facts })
        .setProtectedHeader({ alg: 'HS256' })
        .sign(createSecretKey(secret, 'utf8'));
    expect(await mistakesOf(tenant, { token: await sign(tenant.secret) })).toEqual(['token_key_is_identity_secret']);
    const sibling = await addSibling(tenant);
    expect(await mistakesOf(tenant, { token: await sign(sibling.secret) })).toEqual([
      'other_environment_secret',
      'token_key_is_identity_secret',
    ]);
    expect((await diagnose(tenant, { token: 'a.b.c' })).body).toMatchObject({ code: 'identity_malformed', mistakes: [] });
  });

  it('answers every shape of input without a failure, and leaves nothing behind', async () => {
    const tenant = await gateway.seed();
    const before = await gateway.countSubscribers();
    for (const value of [undefined, null, 0, -1, 1e300, true, '', 'x', 'x'.repeat(50_000), [], {}, [[]], '{"a":1}']) {
      for (const name of ['subscriber_id', 'subscriber_hash', 'timestamp', 'traits', 'token']) {
        const { status } = await diagnose(tenant, { subscriber_id: 'user-123', subscriber_hash: 'f'.repeat(64), [name]: value });
        expect([name, value, status]).toEqual([name, value, 200]);
      }
    }
    expect((await diagnose(tenant, { email: 5 })).status).toBe(400);
    expect((await diagnose(tenant, { secret: 'x' })).status).toBe(400);
    expect(await gateway.countSubscribers()).toBe(before);
  });

  it('is for holders of keys:write only, and for a bounded number of times', async () => {
    const reader = await gateway.seed({ scopes: ['keys:read'] });
    expect((await diagnose(reader, {})).status).toBe(403);
    const tenant = await gateway.seed();
    expect((await gateway.call({ url: '/v1/identity/diagnose', payload: proofOf(tenant) })).status).toBe(401);
    const limited = await gateway.withSettings({ IDENTITY_DIAGNOSES_PER_MINUTE: '2' });
    const statuses: number[] = [];
    for (let count = 0; count < 3; count += 1) {
      statuses.push((await limited.call({ url: '/v1/identity/diagnose', token: tenant.apiKey, payload: {} })).status);
    }
    expect(statuses).toEqual([200, 200, 429]);
    await limited.app.close();
  });

  it('counts nothing as use of a key', async () => {
    const tenant = await gateway.seed();
    const hash = createHmac('sha256', tenant.secret).update('user-123').digest('hex');
    await diagnose(tenant, { subscriber_id: 'user-123', subscriber_hash: hash });
    await gateway.app.get(KeyUsage).flush();
    const [key] = (await gateway.call({ method: 'GET', url: '/v1/identity-secrets', token: tenant.apiKey })).body.data;
    expect(key).toMatchObject({ state: 'created', uses_7d: 0 });
  });
});
