import { Controller, Get, Module } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { ApiOperation } from '@nestjs/swagger';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { BelfryConfig } from '#config';
import { Clock } from '#contracts';
import { databaseConfig, DatabaseModule } from '#database';
import { buildDocument, createHttpApp, findDocumentFaults, httpConfig, Returns } from '#http';
import { telemetryConfig } from '#telemetry';
import {
  newKeyText,
  SecretBox,
  type SeededEnvironment,
  seedEnvironment,
  type SeedEnvironmentOptions,
  tenancyConfig,
  TenancyModule,
} from '#tenancy';
import { createTestDatabase, FixedClock, type TestDatabase } from '#testing';
import { identityConfig } from '../identity.config.js';
import { IdentityApiModule } from '../identity.module.js';
import { seedIdentitySecret, signSubscriberId } from '../testing/seed-identity.js';
import { CurrentSubscriber, RequireSession } from './require-session.js';
import { type SessionSubscriber } from './session.js';
import { SESSION_SECONDS_MAX, SESSION_TOKEN_SECONDS, SessionTokens } from './session-tokens.js';

@Controller('v1/probe')
class ProbeController {
  @Get()
  @RequireSession()
  @ApiOperation({ summary: 'Probe' })
  @Returns(200, z.object({}), 'Who asks.')
  read(@CurrentSubscriber() subscriber: SessionSubscriber) {
    return subscriber;
  }
}

const clock = new FixedClock();
const ORIGIN = 'https://app.example.com';
const CODE = 'identity_rejected';
let test: TestDatabase;
let app: NestFastifyApplication;

/** The app's tokens run on a clock of the test. */
async function makeApp(env: Record<string, string> = {}): Promise<NestFastifyApplication> {
  @Module({ imports: [DatabaseModule.forRoot({ url: test.url }), TenancyModule, IdentityApiModule], controllers: [ProbeController] })
  class TestModule {}
  const variables = { BELFRY_SECRET_KEY: Buffer.alloc(32, 7).toString('base64'), LOG_LEVEL: 'silent', ...env };
  const sections = [httpConfig, telemetryConfig, databaseConfig, tenancyConfig, identityConfig];
  const made = await createHttpApp(TestModule, { name: 'test', config: BelfryConfig.load(sections, variables) });
  await made.init();
  made.get(Clock).now = () => clock.now();
  return made;
}

beforeAll(async () => {
  test = await createTestDatabase();
  app = await makeApp();
});

afterAll(async () => {
  await app?.close();
  await test?.close();
});

interface Seeded extends SeededEnvironment {
  readonly secretId: string;
  readonly secret: string;
}

async function seed(options: SeedEnvironmentOptions = {}): Promise<Seeded> {
  const environment = await seedEnvironment(test.database, { allowedOrigins: [ORIGIN], ...options });
  const { id, secret } = await seedIdentitySecret(test.database, app.get(SecretBox), environment.environmentId);
  return { ...environment, secretId: id, secret };
}

interface Call {
  readonly method?: 'GET' | 'POST' | 'DELETE' | 'OPTIONS';
  readonly url?: string;
  readonly token?: string;
  readonly headers?: Record<string, string>;
  readonly payload?: object;
  readonly to?: NestFastifyApplication;
}

async function call({ method = 'POST', url = '/v1/session', token, headers, payload, to = app }: Call) {
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const answer = await to.inject({ method, url, headers: { ...authorization, ...headers }, ...(payload === undefined ? {} : { payload }) });
  return { status: answer.statusCode, headers: answer.headers, body: answer.body === '' ? undefined : answer.json() };
}

const proofOf = (environment: Seeded, subscriberId = 'user-123', secret = environment.secret) => ({
  public_key: environment.publicKey,
  subscriber_id: subscriberId,
  subscriber_hash: signSubscriberId(subscriberId, secret),
});

const open = (environment: Seeded, subscriberId?: string, headers?: Record<string, string>) =>
  call({ payload: proofOf(environment, subscriberId), headers });

async function countSubscribers(): Promise<number> {
  const [row] = await test.database.query<{ count: number }>({ text: 'SELECT count(*)::integer AS count FROM subscribers.subscriber' });
  return row?.count ?? 0;
}

describe('POST /v1/session', () => {
  it('gives a session for a good proof and creates the subscriber once', async () => {
    const environment = await seed();
    const [first, second] = [await open(environment), await open(environment)];
    expect(first).toMatchObject({ status: 201, body: { subscriber: { external_id: 'user-123' } } });
    expect(new Date(first.body.expires_at).getTime() - clock.now().getTime()).toBe(SESSION_TOKEN_SECONDS * 1_000);
    const [one, two] = await Promise.all([first, second].map(({ body }) => call({ method: 'GET', url: '/v1/probe', token: body.token })));
    expect(one?.body).toMatchObject({ environmentId: environment.environmentId, externalId: 'user-123' });
    expect(two?.body.subscriberId).toBe(one?.body.subscriberId);
  });

  it('takes the proof as base64 and base64url too', async () => {
    const environment = await seed();
    const proof = proofOf(environment);
    const mac = Buffer.from(proof.subscriber_hash, 'hex');
    for (const hash of [mac.toString('base64'), mac.toString('base64url'), proof.subscriber_hash.toUpperCase()]) {
      expect((await call({ payload: { ...proof, subscriber_hash: hash } })).status).toBe(201);
    }
  });

  it('refuses every other proof with one answer and creates nothing', async () => {
    const [mine, theirs] = [await seed(), await seed()];
    const good = proofOf(mine);
    const wrong = good.subscriber_hash.replace(/^./, (digit) => (digit === '0' ? '1' : '0'));
    const proofs: object[] = [
      { ...good, subscriber_hash: wrong },
      { ...good, subscriber_hash: signSubscriberId('user-123', theirs.secret) },
      { ...good, subscriber_hash: signSubscriberId('user-123', mine.apiKey) },
      { ...good, subscriber_hash: signSubscriberId('user-123', mine.publicKey) },
      { ...good, subscriber_id: 'user-124' },
      { ...good, subscriber_id: 'USER-123' },
      { ...good, subscriber_id: '' },
      { ...good, subscriber_id: 'x'.repeat(256) },
      { ...good, subscriber_id: 'tab\tbed' },
      { ...good, public_key: theirs.publicKey },
      { ...good, public_key: newKeyText('pk', 'production') },
      { ...good, public_key: mine.apiKey },
      { ...good, public_key: '' },
    ];
    for (const hash of [
      undefined,
      null,
      '',
      'zz',
      0,
      17,
      true,
      {},
      [],
      [good.subscriber_hash],
      'f'.repeat(100_000),
      `${good.subscriber_hash}\n`,
    ]) {
      proofs.push({ ...good, subscriber_hash: hash });
    }
    const before = await countSubscribers();
    const answers = await Promise.all(proofs.map((payload) => call({ payload })));
    const bodies = answers.map(({ status, body: { request_id: _, ...body } }) => JSON.stringify({ status, body }));
    expect(new Set(bodies).size).toBe(1);
    expect(answers[0]).toMatchObject({ status: 401, body: { code: CODE } });
    expect(answers[0]?.headers['www-authenticate']).toBeDefined();
    expect(await countSubscribers()).toBe(before);
  });

  it('answers 400 for a subscriber id that is not a string', async () => {
    const environment = await seed();
    const before = await countSubscribers();
    for (const id of [123, null, true, ['user-123'], { id: 'user-123' }]) {
      const payload = { ...proofOf(environment), subscriber_id: id };
      expect(await call({ payload })).toMatchObject({ status: 400, body: { code: 'subscriber_id_not_string' } });
    }
    expect(await countSubscribers()).toBe(before);
  });

  it('answers 400 for bodies of another shape', async () => {
    const environment = await seed();
    const { public_key: _, ...withoutKey } = proofOf(environment);
    const { subscriber_id: __, ...withoutId } = proofOf(environment);
    const bodies = [withoutKey, withoutId, { ...withoutKey, public_key: 7 }, { ...proofOf(environment), email: 'x' }, []];
    for (const payload of bodies) expect(await call({ payload })).toMatchObject({ status: 400, body: { code: 'validation_failed' } });
  });

  it('keeps the same id in two environments apart', async () => {
    const [mine, theirs] = [await seed(), await seed()];
    const tokens = [(await open(mine)).body.token, (await open(theirs)).body.token];
    const [one, two] = await Promise.all(tokens.map((token) => call({ method: 'GET', url: '/v1/probe', token })));
    expect(one?.body.environmentId).toBe(mine.environmentId);
    expect(two?.body.environmentId).toBe(theirs.environmentId);
    expect(one?.body.subscriberId).not.toBe(two?.body.subscriberId);
  });

  it('accepts nothing in an environment without a live secret', async () => {
    const environment = await seedEnvironment(test.database);
    const answer = await open({ ...environment, secretId: '', secret: '' });
    expect(answer).toMatchObject({ status: 401, body: { code: CODE } });
  });

  it('opens one subscriber for many sessions that start together', async () => {
    const environment = await seed();
    const answers = await Promise.all(Array.from({ length: 30 }, () => open(environment, 'together')));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]));
    const ids = await Promise.all(answers.map(({ body }) => app.get(SessionTokens).read(body.token)));
    expect(new Set(ids.map((session) => session.subscriberId)).size).toBe(1);
  });
});

describe('rate limit of POST /v1/session', () => {
  it('answers 429 with Retry-After beyond the limit, per environment', async () => {
    const limited = await makeApp({ IDENTITY_SESSION_ATTEMPTS_PER_MINUTE: '2' });
    const [busy, quiet] = [await seed(), await seed()];
    const statuses: number[] = [];
    for (let attempt = 0; attempt < 3; attempt += 1) statuses.push((await call({ payload: proofOf(busy), to: limited })).status);
    expect(statuses).toEqual([201, 201, 429]);
    const refused = await call({ payload: proofOf(busy), to: limited });
    expect(refused.body.code).toBe('rate_limited');
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect((await call({ payload: proofOf(quiet), to: limited })).status).toBe(201);
    await limited.close();
  });

  it('shuts an address out after too many refused proofs, also for unknown environments', async () => {
    const limited = await makeApp({ IDENTITY_SESSION_REJECTIONS_PER_MINUTE: '2' });
    const environment = await seed();
    const unknown = { ...proofOf(environment), public_key: newKeyText('pk', 'production') };
    for (let attempt = 0; attempt < 2; attempt += 1) expect((await call({ payload: unknown, to: limited })).status).toBe(401);
    expect((await call({ payload: proofOf(environment), to: limited })).status).toBe(429);
    await limited.close();
  });
});

describe('RequireSession', () => {
  it('answers 401 without a token, with an API key, and with a token in the URL', async () => {
    const environment = await seed();
    const { token } = (await open(environment)).body;
    const missing = await call({ method: 'GET', url: `/v1/probe?access_token=${token}&token=${token}` });
    expect(missing).toMatchObject({ status: 401, body: { code: 'session_missing' } });
    expect(missing.headers['www-authenticate']).toContain('Bearer');
    for (const wrong of [environment.apiKey, environment.publicKey, 'x', `${token}x`]) {
      expect(await call({ method: 'GET', url: '/v1/probe', token: wrong })).toMatchObject({
        status: 401,
        body: { code: 'session_invalid' },
      });
    }
  });

  it('answers 401 session_expired after the token has run out', async () => {
    const { token } = (await open(await seed())).body;
    clock.advance(SESSION_TOKEN_SECONDS * 1_000);
    expect(await call({ method: 'GET', url: '/v1/probe', token })).toMatchObject({ status: 401, body: { code: 'session_expired' } });
  });

  it('documents every route', () => {
    expect(findDocumentFaults(buildDocument(app, { title: 'test', description: '', version: '1' }))).toEqual([]);
  });
});

describe('POST /v1/session/refresh', () => {
  const refresh = (token: string) => call({ url: '/v1/session/refresh', token });

  it('gives the same session another quarter of an hour', async () => {
    const { token } = (await open(await seed())).body;
    clock.advance(10 * 60_000);
    const refreshed = await refresh(token);
    expect(refreshed.status).toBe(201);
    clock.advance(10 * 60_000);
    expect((await call({ method: 'GET', url: '/v1/probe', token: refreshed.body.token })).status).toBe(200);
  });

  it('ends after twelve hours, however often it is refreshed', async () => {
    const startedMs = clock.now().getTime();
    let { token, expires_at: expiresAt } = (await open(await seed())).body;
    while (new Date(expiresAt).getTime() - startedMs < SESSION_SECONDS_MAX * 1_000) {
      clock.set(new Date(new Date(expiresAt).getTime() - 1_000));
      ({ token, expires_at: expiresAt } = (await refresh(token)).body);
    }
    expect(new Date(expiresAt).getTime() - startedMs).toBe(SESSION_SECONDS_MAX * 1_000);
    clock.set(expiresAt);
    expect(await refresh(token)).toMatchObject({ status: 401, body: { code: 'session_expired' } });
  });

  it('refuses when the subscriber was deleted', async () => {
    const environment = await seed();
    const { token } = (await open(environment)).body;
    await test.database.execute({
      text: 'DELETE FROM subscribers.subscriber WHERE environment_id = $1',
      values: [environment.environmentId],
    });
    expect(await refresh(token)).toMatchObject({ status: 401, body: { code: 'session_invalid' } });
  });

  it('refuses when the secret behind the session was retired', async () => {
    const environment = await seed();
    const { token } = (await open(environment)).body;
    const listed = await call({ method: 'GET', url: '/v1/identity-secrets', token: environment.apiKey });
    await call({ method: 'DELETE', url: `/v1/identity-secrets/${listed.body.data[0].id}`, token: environment.apiKey });
    expect(await refresh(token)).toMatchObject({ status: 401, body: { code: 'session_invalid' } });
  });
});

describe('/v1/identity-secrets', () => {
  const url = '/v1/identity-secrets';

  it('lets two secrets overlap and refuses a third', async () => {
    const environment = await seed();
    const created = await call({ url, token: environment.apiKey });
    expect(created.status).toBe(201);
    expect(created.body.secret).toMatch(/^isk_live_/);
    for (const secret of [environment.secret, created.body.secret]) {
      expect((await call({ payload: proofOf(environment, 'user-123', secret) })).status).toBe(201);
    }
    expect(await call({ url, token: environment.apiKey })).toMatchObject({ status: 409, body: { code: 'identity_secret_limit_reached' } });
  });

  it('holds the limit under concurrent requests', async () => {
    const { apiKey } = await seed();
    const answers = await Promise.all(Array.from({ length: 6 }, () => call({ url, token: apiKey })));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409, 409, 409]);
  });

  it('refuses the proofs of a retired secret at once and makes room for the next', async () => {
    const environment = await seed();
    const created = await call({ url, token: environment.apiKey });
    expect((await open(environment)).status).toBe(201);
    const listed = await call({ method: 'GET', url, token: environment.apiKey });
    expect(listed.body.data).toHaveLength(2);
    const retired = await call({ method: 'DELETE', url: `${url}/${listed.body.data[0].id}`, token: environment.apiKey });
    expect(retired.status).toBe(204);
    expect(await open(environment)).toMatchObject({ status: 401, body: { code: CODE } });
    expect((await call({ payload: proofOf(environment, 'user-123', created.body.secret) })).status).toBe(201);
    expect((await call({ url, token: environment.apiKey })).status).toBe(201);
  });

  it('shows a secret once and stores it encrypted', async () => {
    const { apiKey, secret } = await seed();
    const created = await call({ url, token: apiKey });
    const listed = await call({ method: 'GET', url, token: apiKey });
    expect(JSON.stringify(listed.body)).not.toContain(created.body.secret);
    const rows = await test.database.query<{ ciphertext: Buffer }>({ text: 'SELECT ciphertext FROM identity.secret' });
    for (const text of [secret, created.body.secret]) expect(rows.some((row) => row.ciphertext.includes(text.slice(9, 30)))).toBe(false);
  });

  it("answers alike for an unknown id and another environment's id", async () => {
    const [mine, theirs] = [await seed(), await seed()];
    const listed = await call({ method: 'GET', url, token: theirs.apiKey });
    for (const id of [listed.body.data[0].id, 'ids_01jd8x0000e5q8xkq3gq0v2m6n', 'nonsense']) {
      const answer = await call({ method: 'DELETE', url: `${url}/${id}`, token: mine.apiKey });
      expect(answer).toMatchObject({ status: 404, body: { code: 'identity_secret_not_found' } });
    }
    expect((await open(theirs)).status).toBe(201);
  });
});

describe('CORS of browser-facing routes', () => {
  const preflight = (url: string, origin: string, method = 'POST') =>
    call({
      method: 'OPTIONS',
      url,
      headers: { origin, 'access-control-request-method': method, 'access-control-request-headers': 'content-type' },
    });

  it('grants a preflight to origins that an environment allows', async () => {
    await seed();
    const granted = await preflight('/v1/session', ORIGIN);
    expect(granted.status).toBe(204);
    expect(granted.headers).toMatchObject({
      'access-control-allow-origin': ORIGIN,
      'access-control-allow-methods': 'POST',
      vary: 'Origin',
    });
    expect(String(granted.headers['access-control-allow-headers'])).toMatch(/authorization/i);
    expect(granted.headers['access-control-allow-credentials']).toBeUndefined();
  });

  it('grants nothing to other origins and on other routes', async () => {
    await seed();
    for (const origin of ['https://evil.example', 'null', `${ORIGIN}.evil.example`]) {
      expect((await preflight('/v1/session', origin)).headers['access-control-allow-origin']).toBeUndefined();
    }
    for (const url of ['/v1/identity-secrets', '/v1/nothing']) {
      expect((await preflight(url, ORIGIN)).headers['access-control-allow-origin']).toBeUndefined();
    }
  });

  it('lets a page of an allowed origin open and use a session', async () => {
    const opened = await open(await seed(), 'user-123', { origin: ORIGIN });
    expect(opened).toMatchObject({ status: 201, headers: { 'access-control-allow-origin': ORIGIN } });
    const used = await call({ method: 'GET', url: '/v1/probe', token: opened.body.token, headers: { origin: ORIGIN } });
    expect(used).toMatchObject({ status: 200, headers: { 'access-control-allow-origin': ORIGIN } });
  });

  it('refuses a page whose origin only another environment allows, and creates nothing', async () => {
    const [mine] = [await seed({ allowedOrigins: ['https://mine.example'] }), await seed()];
    const before = await countSubscribers();
    const refused = await open(mine, 'user-cors', { origin: ORIGIN });
    expect(refused).toMatchObject({ status: 403, body: { code: 'origin_not_allowed' } });
    expect(refused.headers['access-control-allow-origin']).toBeUndefined();
    expect(await countSubscribers()).toBe(before);
    const { token } = (await open(mine)).body;
    expect((await call({ method: 'GET', url: '/v1/probe', token, headers: { origin: ORIGIN } })).status).toBe(403);
  });

  it('answers a wrong proof before it looks at the origin', async () => {
    const environment = await seed();
    const payload = { ...proofOf(environment), subscriber_hash: 'f'.repeat(64) };
    expect((await call({ payload, headers: { origin: 'https://evil.example' } })).status).toBe(401);
  });

  it('needs no permission for pages that the server itself delivers', async () => {
    const environment = await seed({ allowedOrigins: [] });
    expect((await open(environment, 'user-123', { origin: 'http://inbox.example', host: 'inbox.example' })).status).toBe(201);
    expect((await open(environment, 'user-123', { origin: 'http://inbox.example', host: 'other.example' })).status).toBe(403);
  });

  it('serves pages of the own machine in development only', async () => {
    const [development, production] = [await seed({ kind: 'development' }), await seed({ kind: 'production' })];
    const headers = { origin: 'http://localhost:5173' };
    expect((await open(development, 'user-123', headers)).headers['access-control-allow-origin']).toBe('http://localhost:5173');
    expect((await open(production, 'user-123', headers)).status).toBe(403);
  });
});
