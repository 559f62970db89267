import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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
