import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { waitFor } from '#testing';
import { signSubscriberId } from '../testing/seed-identity.js';
import { clock, proofOf, SessionApp, type SeededTenant } from '../testing/session-app.js';
import type { Session } from '../session/session.js';
import { SessionTokens } from '../session/session-tokens.js';
import { RevocationStore } from './revocation.store.js';
import { SessionRevocations } from './session-revocations.js';

/** What POST /v1/subscribers/{id}/revoke promises. */
const PROMISED_MS = 5_000;

let gateway: SessionApp;
let other: SessionApp;
beforeAll(async () => {
  gateway = await SessionApp.open();
  other = await gateway.withSettings({});
});
afterAll(async () => {
  await other?.app.close();
  await gateway?.close();
});

const revoke = (tenant: SeededTenant, id = 'user-123', app = gateway) =>
  app.call({ url: `/v1/subscribers/${encodeURIComponent(id)}/revoke`, token: tenant.apiKey });
const probe = (token: string, app = gateway) => app.call({ method: 'GET', url: '/v1/probe', token });

function freshProof(tenant: SeededTenant, seconds = Math.floor(clock.now().getTime() / 1_000)) {
  const text = ['v2:subscriber', tenant.publicKey, seconds, 'user-123'].join('\n');
  return { ...proofOf(tenant), subscriber_hash: signSubscriberId(text, tenant.secret), timestamp: seconds };
}

describe('POST /v1/subscribers/{id}/revoke', () => {
  it('ends the sessions of the person on every gateway within five seconds, and nobody else’s', async () => {
    const tenant = await gateway.seed();
    const { token } = (await gateway.openSession(tenant)).body;
    const { token: bystander } = (await gateway.openSession(tenant, 'user-124')).body;
    expect((await probe(token, other)).status).toBe(200);
    expect(await revoke(tenant)).toMatchObject({ status: 200, body: { external_id: 'user-123', revoked_at: clock.now().toISOString() } });
    const refused = await probe(token);
    expect(refused).toMatchObject({ status: 401, body: { code: 'identity_revoked' } });
    expect(refused.headers['www-authenticate']).toContain('identity_revoked');
    await waitFor(async () => (await probe(token, other)).status === 401, { timeoutMs: PROMISED_MS });
    for (const app of [gateway, other]) {
      expect((await probe(bystander, app)).status).toBe(200);
      expect((await app.call({ url: '/v1/session/refresh', token })).body.code).toBe('identity_revoked');
      expect((await app.call({ url: '/v1/session/ticket', token })).body.code).toBe('identity_revoked');
    }
  });

  it('ends hashes of the id alone and proofs from before, and takes fresh ones from after', async () => {
    const tenant = await gateway.seed();
    const before = freshProof(tenant);
    for (const app of [gateway, other]) expect((await app.openSession(tenant)).status).toBe(201);
    await revoke(tenant);
    expect(await gateway.openSession(tenant)).toMatchObject({ status: 401, body: { code: 'identity_revoked' } });
    clock.advance(2_000);
    await waitFor(async () => (await other.openSession(tenant)).status === 401, { timeoutMs: PROMISED_MS });
    for (const app of [gateway, other]) {
      for (const payload of [proofOf(tenant), before, { ...proofOf(tenant), timestamp: Math.floor(clock.now().getTime() / 1_000) }]) {
        expect(await app.call({ payload })).toMatchObject({ status: 401, body: { code: 'identity_revoked' } });
      }
      const opened = await app.call({ payload: freshProof(tenant) });
      expect(opened.status).toBe(201);
      expect((await probe(opened.body.token)).status).toBe(200);
      expect((await probe(opened.body.token, other)).status).toBe(200);
    }
    expect((await gateway.openSession(tenant, 'user-124')).status).toBe(201);
  });

  it('ends sessions that began after it with a proof from before: a gateway that had not heard of it took them', async () => {
    const tenant = await gateway.seed();
    const { body } = await gateway.call({ payload: freshProof(tenant) });
    const opened = await gateway.app.get(SessionTokens).read(body.token);
    expect(opened).toMatchObject({ grade: 'fresh', provenAt: new Date(Math.floor(clock.now().getTime() / 1_000) * 1_000) });
    await revoke(tenant);
    clock.advance(2_000);
    const isRevoked = (facts: Partial<Session>) =>
      gateway.app.get(SessionRevocations).isRevoked({ ...opened, startedAt: clock.now(), ...facts });
    expect(isRevoked({})).toBe(true);
    expect(isRevoked({ grade: 'static', provenAt: undefined })).toBe(true);
    expect(isRevoked({ provenAt: clock.now() })).toBe(false);
    const { token } = await gateway.app.get(SessionTokens).start({ ...opened, provenAt: undefined });
    const { body: after } = await gateway.call({ payload: freshProof(tenant) });
    for (const app of [gateway, other]) {
      await waitFor(async () => (await probe(token, app)).status === 401, { timeoutMs: PROMISED_MS });
      expect((await probe(after.token, app)).status).toBe(200);
    }
  });

  it('ends sessions from before whose proof is stamped ahead, as far as clocks may be', async () => {
    const tenant = await gateway.seed();
    const { token } = (await gateway.call({ payload: freshProof(tenant, Math.floor(clock.now().getTime() / 1_000) + 50) })).body;
    expect((await probe(token)).status).toBe(200);
    await revoke(tenant);
    expect(await probe(token)).toMatchObject({ status: 401, body: { code: 'identity_revoked' } });
    await waitFor(async () => (await probe(token, other)).status === 401, { timeoutMs: PROMISED_MS });
  });

  it('is not taken back by an earlier one that arrives later', async () => {
    const { environmentId } = await gateway.seed();
    const store = gateway.app.get(RevocationStore);
    const [earlier, later] = [clock.now(), new Date(clock.now().getTime() + 5_000)];
    for (const revokedAt of [later, earlier]) await store.save({ environmentId, externalId: 'user-123', revokedAt });
    expect(await store.findRevokedAt(environmentId, 'user-123')).toEqual(later);
  });

  it('keeps environments apart', async () => {
    const [mine, theirs] = [await gateway.seed(), await gateway.seed()];
    const { token } = (await gateway.openSession(theirs)).body;
    await revoke(mine);
    expect((await probe(token)).status).toBe(200);
    expect((await gateway.openSession(theirs)).status).toBe(201);
    expect((await gateway.openSession(mine)).status).toBe(401);
  });

  it('holds for a person that is not known yet, and creates nobody', async () => {
    const tenant = await gateway.seed();
    const before = await gateway.countSubscribers();
    expect((await revoke(tenant, 'stranger')).status).toBe(200);
    expect((await gateway.openSession(tenant, 'stranger')).body.code).toBe('identity_revoked');
    expect(await gateway.countSubscribers()).toBe(before);
  });

  it('tells a wrong hash nothing about revocations', async () => {
    const tenant = await gateway.seed();
    await revoke(tenant);
    const wrong = await gateway.call({ payload: { ...proofOf(tenant), subscriber_hash: 'f'.repeat(64) } });
    expect(wrong.body.code).toBe('identity_mismatch');
  });

  it('refuses ids that nobody can have, and keys without the scope', async () => {
    const tenant = await gateway.seed();
    for (const id of ['a\n', 'x'.repeat(256)]) expect((await revoke(tenant, id)).status).toBe(422);
    const reader = await gateway.seed({ scopes: ['subscribers:read'] });
    expect((await revoke(reader)).status).toBe(403);
    expect((await gateway.call({ url: '/v1/subscribers/user-123/revoke' })).status).toBe(401);
  });

  it('is known to a gateway that starts later', async () => {
    const tenant = await gateway.seed();
    const { token } = (await gateway.openSession(tenant)).body;
    await revoke(tenant);
    const late = await gateway.withSettings({});
    expect((await probe(token, late)).body.code).toBe('identity_revoked');
    await late.app.close();
  });

  it('ends what is watched, once, and forgets what nobody watches any more', async () => {
    const tenant = await gateway.seed();
    const session = { environmentId: tenant.environmentId, externalId: 'user-123', secretId: tenant.apiKeyId, startedAt: clock.now() };
    const ended = { here: 0, there: 0, left: 0, late: 0 };
    const revocations = gateway.app.get(SessionRevocations);
    revocations.watch(session, () => (ended.here += 1));
    other.app.get(SessionRevocations).watch(session, () => (ended.there += 1));
    revocations.watch(session, () => (ended.left += 1))();
    await revoke(tenant);
    await revoke(tenant);
    await waitFor(() => ended.there === 1, { timeoutMs: PROMISED_MS });
    revocations.watch(session, () => (ended.late += 1));
    expect(ended).toEqual({ here: 1, there: 1, left: 0, late: 1 });
  });
});
