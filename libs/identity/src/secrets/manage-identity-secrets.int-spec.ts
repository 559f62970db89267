import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { waitFor } from '#testing';
import { IdentityStore } from '../identity.store.js';
import { KeyUsage } from './key-usage.js';
import { proofOf, SessionApp } from '../testing/session-app.js';

let gateway: SessionApp;
beforeAll(async () => {
  gateway = await SessionApp.open();
});
afterAll(() => gateway?.close());

describe('/v1/identity-secrets', () => {
  const url = '/v1/identity-secrets';

  it('lets two secrets overlap and refuses a third', async () => {
    const environment = await gateway.seed();
    const created = await gateway.call({ url, token: environment.apiKey });
    expect(created.status).toBe(201);
    expect(created.body.secret).toMatch(/^isk_live_/);
    for (const secret of [environment.secret, created.body.secret]) {
      expect((await gateway.call({ payload: proofOf(environment, 'user-123', secret) })).status).toBe(201);
    }
    expect(await gateway.call({ url, token: environment.apiKey })).toMatchObject({
      status: 409,
      body: { code: 'identity_secret_limit_reached' },
    });
  });

  it('holds the limit under concurrent requests', async () => {
    const { apiKey } = await gateway.seed();
    const answers = await Promise.all(Array.from({ length: 6 }, () => gateway.call({ url, token: apiKey })));
    expect(answers.map(({ status }) => status).sort((left, right) => left - right)).toEqual([201, 409, 409, 409, 409, 409]);
  });

  it('takes a secret that the servers of the customer have already, and refuses weak ones', async () => {
    const environment = await gateway.seed();
    for (const secret of ['', 'x'.repeat(31), 'K'.repeat(40), 'é'.repeat(128)]) {
      const refused = await gateway.call({ url, token: environment.apiKey, payload: { secret } });
      expect(refused).toMatchObject({ status: 400, body: { code: 'identity_secret_weak' } });
    }
    const secret = 'whk_test_4f3c2b1a09e8d7c6b5a4938271605f4e';
    expect((await gateway.call({ url, token: environment.apiKey, payload: { secret } })).status).toBe(201);
    expect((await gateway.call({ payload: proofOf(environment, 'user-123', secret) })).status).toBe(201);
    expect((await gateway.call({ url, token: environment.apiKey, payload: { secret: 5 } })).status).toBe(400);
  });

  it('refuses a secret that everybody knows, that is something else, or that one side would trim', async () => {
    const environment = await gateway.seed();
    const secret = 'whk_test_4f3c2b1a09e8d7c6b5a4938271605f4e';
    const padded = [`${secret}\n`, `${secret}\r\n`, ` ${secret}`, `${secret}\u00a0`];
    for (const text of [environment.publicKey, environment.apiKey, ...padded]) {
      const refused = await gateway.call({ url, token: environment.apiKey, payload: { secret: text } });
      expect(refused).toMatchObject({ status: 400, body: { code: 'identity_secret_weak' } });
      expect(JSON.stringify(refused.body)).not.toContain(text.trim());
    }
  });

  it('refuses a secret that the environment has, or had: what was ended for a compromise never holds again', async () => {
    const environment = await gateway.seed();
    const bring = (secret: string, to = environment) => gateway.call({ url, token: to.apiKey, payload: { secret } });
    const reused = { status: 409, body: { code: 'identity_secret_reused' } };
    expect(await bring(environment.secret)).toMatchObject(reused);
    const [{ id }] = (await gateway.call({ method: 'GET', url, token: environment.apiKey })).body.data;
    expect((await gateway.call({ method: 'DELETE', url: `${url}/${id}`, token: environment.apiKey })).status).toBe(204);
    expect(await bring(environment.secret)).toMatchObject(reused);
    expect((await gateway.openSession(environment)).status).toBe(401);
    expect((await bring(environment.secret, await gateway.seed())).status).toBe(201);
  });

  it('takes a new secret beside one that another BELFRY_SECRET_KEY sealed', async () => {
    const environment = await gateway.seed();
    const other = await gateway.withSettings({ BELFRY_SECRET_KEY: Buffer.alloc(32, 8).toString('base64') });
    const payload = { secret: 'whk_test_4f3c2b1a09e8d7c6b5a4938271605f4e' };
    expect((await other.call({ url, token: environment.apiKey, payload })).status).toBe(201);
    await other.app.close();
  });

  it('shows the life of a key and its share of the proofs', async () => {
    const environment = await gateway.seed();
    const read = async () => (await gateway.call({ method: 'GET', url, token: environment.apiKey })).body.data;
    expect(await read()).toMatchObject([
      { state: 'created', uses_7d: 0, share_7d: null, safe_to_retire: false, algorithm: 'HMAC-SHA256', kid: null },
    ]);
    const { secret } = (await gateway.call({ url, token: environment.apiKey })).body;
    await gateway.openSession(environment);
    for (let count = 0; count < 3; count += 1) await gateway.call({ payload: proofOf(environment, 'user-123', secret) });
    await gateway.call({ payload: { ...proofOf(environment), subscriber_hash: 'f'.repeat(64) } });
    await gateway.app.get(KeyUsage).flush();
    expect(await read()).toMatchObject([
      { state: 'in_use', uses_7d: 1, share_7d: 0.25, first_used_at: expect.any(String), last_used_at: expect.any(String) },
      { state: 'in_use', uses_7d: 3, share_7d: 0.75, safe_to_retire: false },
    ]);
    await gateway.test.database.execute({
      text: `UPDATE identity.key_use SET used_on = used_on - 7 WHERE environment_id = $1 AND uses = 1`,
      values: [environment.environmentId],
    });
    expect(await read()).toMatchObject([
      { uses_7d: 0, share_7d: 0, safe_to_retire: true },
      { share_7d: 1, safe_to_retire: false },
    ]);
  });

  it('accepts a retiring key until the end of its overlap and makes room for the next', async () => {
    const environment = await gateway.seed();
    const [{ id }] = (await gateway.call({ method: 'GET', url, token: environment.apiKey })).body.data;
    await gateway.call({ url, token: environment.apiKey });
    const retire = (payload?: object) =>
      gateway.call({ url: `${url}/${id}/retire`, token: environment.apiKey, ...(payload && { payload }) });
    const retiring = await retire({ overlap_seconds: 3_600 });
    expect(retiring).toMatchObject({ status: 200, body: { state: 'retiring', retired_at: null } });
    expect(new Date(retiring.body.retires_at).getTime() - Date.now()).toBeGreaterThan(3_500_000);
    expect((await gateway.openSession(environment)).status).toBe(201);
    expect((await retire()).body.retires_at).toBe(retiring.body.retires_at);
    expect((await retire({ overlap_seconds: 0 })).body).toMatchObject({ state: 'retired', safe_to_retire: false });
    expect((await gateway.openSession(environment)).status).toBe(401);
    expect((await retire({ overlap_seconds: 3_600 })).body).toMatchObject({ state: 'retired' });
    expect((await gateway.call({ url, token: environment.apiKey })).status).toBe(201);
    for (const overlap of [-1, 2_592_001, 0.5, 'long']) expect((await retire({ overlap_seconds: overlap })).status).toBe(400);
    expect((await gateway.call({ url: `${url}/ids_01jd8x0000e5q8xkq3gq0v2m6n/retire`, token: environment.apiKey })).status).toBe(404);
  });

  it('ends a killed key with the sessions that it opened, on every gateway, and leaves the others', async () => {
    const environment = await gateway.seed();
    const other = await gateway.withSettings({ IDENTITY_REVOCATION_POLL_MS: '50' });
    const created = await gateway.call({ url, token: environment.apiKey });
    const [old, fresh] = [
      (await gateway.openSession(environment)).body.token,
      (await gateway.call({ payload: proofOf(environment, 'user-123', created.body.secret) })).body.token,
    ];
    const [{ id }] = (await gateway.call({ method: 'GET', url, token: environment.apiKey })).body.data;
    expect((await gateway.call({ method: 'DELETE', url: `${url}/${id}`, token: environment.apiKey })).status).toBe(204);
    const probe = (app: SessionApp, token: string) => app.call({ method: 'GET', url: '/v1/probe', token });
    expect(await probe(gateway, old)).toMatchObject({ status: 401, body: { code: 'identity_revoked' } });
    await waitFor(async () => (await probe(other, old)).status === 401, { timeoutMs: 5_000 });
    expect([(await probe(gateway, fresh)).status, (await probe(other, fresh)).status]).toEqual([200, 200]);
    await other.app.close();
  });

  it('ends the sessions of a key that is killed after its overlap was over, on every gateway', async () => {
    const environment = await gateway.seed();
    const other = await gateway.withSettings({ IDENTITY_REVOCATION_POLL_MS: '50' });
    const { token } = (await gateway.openSession(environment)).body;
    const [{ id }] = (await gateway.call({ method: 'GET', url, token: environment.apiKey })).body.data;
    const retire = { url: `${url}/${id}/retire`, token: environment.apiKey, payload: { overlap_seconds: 0 } };
    expect((await gateway.call(retire)).body.state).toBe('retired');
    await gateway.call({ url, token: environment.apiKey });
    await gateway.app.get(IdentityStore).settleRetirements(environment.environmentId, gateway.test.database);
    const probe = () => other.call({ method: 'GET', url: '/v1/probe', token });
    expect((await probe()).status).toBe(200);
    expect((await gateway.call({ method: 'DELETE', url: `${url}/${id}`, token: environment.apiKey })).status).toBe(204);
    await waitFor(async () => (await probe()).status === 401, { timeoutMs: 5_000 });
    await other.app.close();
  });

  it('refuses the proofs of a retired secret at once and makes room for the next', async () => {
    const environment = await gateway.seed();
    const created = await gateway.call({ url, token: environment.apiKey });
    expect((await gateway.openSession(environment)).status).toBe(201);
    const listed = await gateway.call({ method: 'GET', url, token: environment.apiKey });
    expect(listed.body.data).toHaveLength(2);
    const retired = await gateway.call({ method: 'DELETE', url: `${url}/${listed.body.data[0].id}`, token: environment.apiKey });
    expect(retired.status).toBe(204);
    expect(await gateway.openSession(environment)).toMatchObject({ status: 401, body: { code: 'identity_mismatch' } });
    expect((await gateway.call({ payload: proofOf(environment, 'user-123', created.body.secret) })).status).toBe(201);
    expect((await gateway.call({ url, token: environment.apiKey })).status).toBe(201);
  });

  it('shows a secret once and stores it encrypted', async () => {
    const { apiKey, secret } = await gateway.seed();
    const created = await gateway.call({ url, token: apiKey });
    const listed = await gateway.call({ method: 'GET', url, token: apiKey });
    expect(JSON.stringify(listed.body)).not.toContain(created.body.secret);
    const rows = await gateway.test.database.query<{ ciphertext: Buffer }>({ text: 'SELECT ciphertext FROM identity.secret' });
    for (const text of [secret, created.body.secret]) expect(rows.some((row) => row.ciphertext.includes(text.slice(9, 30)))).toBe(false);
  });

  it("answers alike for an unknown id and another environment's id", async () => {
    const [mine, theirs] = [await gateway.seed(), await gateway.seed()];
    const listed = await gateway.call({ method: 'GET', url, token: theirs.apiKey });
    for (const id of [listed.body.data[0].id, 'ids_01jd8x0000e5q8xkq3gq0v2m6n', 'nonsense']) {
      const answer = await gateway.call({ method: 'DELETE', url: `${url}/${id}`, token: mine.apiKey });
      expect(answer).toMatchObject({ status: 404, body: { code: 'identity_secret_not_found' } });
    }
    expect((await gateway.openSession(theirs)).status).toBe(201);
  });
});
