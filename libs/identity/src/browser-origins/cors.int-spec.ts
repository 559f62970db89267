import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ALLOWED_ORIGIN, proofOf, SessionApp } from '../testing/session-app.js';

let gateway: SessionApp;
beforeAll(async () => {
  gateway = await SessionApp.open();
});
afterAll(() => gateway?.close());

describe('CORS of browser-facing routes', () => {
  const preflight = (url: string, origin: string, method = 'POST') =>
    gateway.call({
      method: 'OPTIONS',
      url,
      headers: { origin, 'access-control-request-method': method, 'access-control-request-headers': 'content-type' },
    });

  it('grants a preflight to origins that an environment allows', async () => {
    await gateway.seed();
    const granted = await preflight('/v1/session', ALLOWED_ORIGIN);
    expect(granted.status).toBe(204);
    expect(granted.headers).toMatchObject({
      'access-control-allow-origin': ALLOWED_ORIGIN,
      'access-control-allow-methods': 'POST',
      vary: 'Origin',
    });
    for (const header of ['authorization', 'x-belfry-sdk']) {
      expect(String(granted.headers['access-control-allow-headers']).toLowerCase()).toContain(header);
    }
    expect(granted.headers['access-control-allow-credentials']).toBeUndefined();
  });

  it('grants nothing to other origins and on other routes', async () => {
    await gateway.seed();
    for (const origin of ['https://evil.example', 'null', `${ALLOWED_ORIGIN}.evil.example`]) {
      expect((await preflight('/v1/session', origin)).headers['access-control-allow-origin']).toBeUndefined();
    }
    for (const url of ['/v1/identity-secrets', '/v1/nothing']) {
      expect((await preflight(url, ALLOWED_ORIGIN)).headers['access-control-allow-origin']).toBeUndefined();
    }
  });

  it('lets a page of an allowed origin open and use a session', async () => {
    const opened = await gateway.openSession(await gateway.seed(), 'user-123', { origin: ALLOWED_ORIGIN });
    expect(opened).toMatchObject({ status: 201, headers: { 'access-control-allow-origin': ALLOWED_ORIGIN } });
    const used = await gateway.call({ method: 'GET', url: '/v1/probe', token: opened.body.token, headers: { origin: ALLOWED_ORIGIN } });
    expect(used).toMatchObject({ status: 200, headers: { 'access-control-allow-origin': ALLOWED_ORIGIN } });
  });

  it('refuses a page whose origin only another environment allows, and creates nothing', async () => {
    const [mine] = [await gateway.seed({ allowedOrigins: ['https://mine.example'] }), await gateway.seed()];
    const before = await gateway.countSubscribers();
    const refused = await gateway.openSession(mine, 'user-cors', { origin: ALLOWED_ORIGIN });
    expect(refused).toMatchObject({ status: 403, body: { code: 'origin_not_allowed' } });
    expect(refused.headers['access-control-allow-origin']).toBeUndefined();
    expect(await gateway.countSubscribers()).toBe(before);
    const { token } = (await gateway.openSession(mine)).body;
    expect((await gateway.call({ method: 'GET', url: '/v1/probe', token, headers: { origin: ALLOWED_ORIGIN } })).status).toBe(403);
  });

  it('answers a wrong proof before it looks at the origin', async () => {
    const environment = await gateway.seed();
    const payload = { ...proofOf(environment), subscriber_hash: 'f'.repeat(64) };
    expect((await gateway.call({ payload, headers: { origin: 'https://evil.example' } })).status).toBe(401);
  });

  it('needs no permission for pages that the server itself delivers', async () => {
    const environment = await gateway.seed({ allowedOrigins: [] });
    expect((await gateway.openSession(environment, 'user-123', { origin: 'http://inbox.example', host: 'inbox.example' })).status).toBe(
      201,
    );
    expect((await gateway.openSession(environment, 'user-123', { origin: 'http://inbox.example', host: 'other.example' })).status).toBe(
      403,
    );
  });

  it('serves pages of the own machine in development only', async () => {
    const [development, production] = [await gateway.seed({ kind: 'development' }), await gateway.seed({ kind: 'production' })];
    const headers = { origin: 'http://localhost:5173' };
    expect((await gateway.openSession(development, 'user-123', headers)).headers['access-control-allow-origin']).toBe(
      'http://localhost:5173',
    );
    expect((await gateway.openSession(production, 'user-123', headers)).status).toBe(403);
  });
});
