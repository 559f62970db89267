import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { Controller, Get, Module } from '@nestjs/common';
import { ApiOperation } from '@nestjs/swagger';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { BelfryConfig } from '#config';
import { databaseConfig, DatabaseModule } from '#database';
import { buildDocument, createHttpApp, findDocumentFaults, httpConfig, Returns } from '#http';
import { telemetryConfig } from '#telemetry';
import { createTestDatabase, type TestDatabase } from '#testing';
import { CurrentEnvironment, RequireScope } from './authenticate/require-scope.js';
import type { EnvironmentContext } from './environment.js';
import { newKeyText } from './key-text.js';
import { API_KEYS_LIVE_MAX } from './manage-api-keys/manage-api-keys.js';
import { SCOPES } from './scopes.js';
import { tenancyConfig } from './tenancy.config.js';
import { TenancyApiModule, TenancyModule } from './tenancy.module.js';
import { seedEnvironment } from './testing/seed-environment.js';

@Controller('v1/probe')
class ProbeController {
  @Get()
  @RequireScope('segments:read')
  @ApiOperation({ summary: 'Probe' })
  @Returns(200, z.object({ environment_id: z.string() }), 'Who asks.')
  read(@CurrentEnvironment() environment: EnvironmentContext) {
    return { environment_id: environment.environmentId };
  }
}

let test: TestDatabase;
let app: NestFastifyApplication;

beforeAll(async () => {
  test = await createTestDatabase();
  @Module({ imports: [DatabaseModule.forRoot({ url: test.url }), TenancyModule, TenancyApiModule], controllers: [ProbeController] })
  class TestModule {}
  const env = { BELFRY_SECRET_KEY: Buffer.alloc(32, 7).toString('base64'), LOG_LEVEL: 'silent' };
  const config = BelfryConfig.load([httpConfig, telemetryConfig, databaseConfig, tenancyConfig], env);
  app = await createHttpApp(TestModule, { name: 'test', config });
  await app.init();
});

afterAll(async () => {
  await app?.close();
  await test?.close();
});

interface Call {
  readonly method?: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly url?: string;
  readonly key?: string;
  readonly headers?: Record<string, string>;
  readonly payload?: object;
}

async function call({ method = 'GET', url = '/v1/probe', key, headers, payload }: Call) {
  const authorization = key === undefined ? {} : { authorization: `Bearer ${key}` };
  const answer = await app.inject({
    method,
    url,
    headers: { ...authorization, ...headers },
    ...(payload === undefined ? {} : { payload }),
  });
  return { status: answer.statusCode, headers: answer.headers, body: answer.body === '' ? undefined : answer.json() };
}

describe('RequireScope', () => {
  it('lets a key with the scope act for its environment', async () => {
    const { apiKey, environmentId } = await seedEnvironment(test.database);
    expect(await call({ key: apiKey })).toMatchObject({ status: 200, body: { environment_id: environmentId } });
  });

  it('answers 401 api_key_missing with a challenge when there is no key', async () => {
    const { status, body, headers } = await call({});
    expect({ status, code: body.code }).toEqual({ status: 401, code: 'api_key_missing' });
    expect(headers['www-authenticate']).toContain('Bearer');
  });

  it('answers alike for malformed, unknown, revoked and public keys and for other schemes', async () => {
    const seeded = await seedEnvironment(test.database);
    await test.database.execute({ text: 'UPDATE tenancy.api_key SET revoked_at = now() WHERE id = $1', values: [seeded.apiKeyId] });
    const headers = [
      `Bearer ${newKeyText('sk', 'production')}`,
      `Bearer ${seeded.apiKey}`,
      `Bearer ${seeded.publicKey}`,
      'Bearer x',
      'Bearer',
      `Basic ${seeded.apiKey}`,
      `Bearer ${seeded.apiKey} ${seeded.apiKey}`,
      `Bearer ${'x'.repeat(5_000)}`,
    ];
    const answers = await Promise.all(headers.map((authorization) => call({ headers: { authorization } })));
    const bodies = answers.map(({ status, body }) => ({ status, code: body.code, detail: body.detail }));
    expect(new Set(bodies.map((body) => JSON.stringify(body))).size).toBe(1);
    expect(bodies[0]).toMatchObject({ status: 401, code: 'api_key_invalid' });
  });

  it('never reads a key from the URL', async () => {
    const { apiKey } = await seedEnvironment(test.database);
    expect((await call({ url: `/v1/probe?access_token=${apiKey}&api_key=${apiKey}` })).status).toBe(401);
  });

  it('answers 403 scope_missing and names the scope', async () => {
    const { apiKey } = await seedEnvironment(test.database, { scopes: ['segments:write'] });
    expect(await call({ key: apiKey })).toMatchObject({ status: 403, body: { code: 'scope_missing', required_scope: 'segments:read' } });
  });

  it('documents the permission of every route', () => {
    const document = buildDocument(app, { title: 'test', description: '', version: '1' });
    expect(findDocumentFaults(document)).toEqual([]);
    expect(document.paths['/v1/probe']?.get).toMatchObject({ security: [{ ApiKey: ['segments:read'] }], 'x-permission': 'segments:read' });
    expect(Object.keys(document.paths['/v1/api-keys']?.post?.responses ?? {})).toEqual(
      expect.arrayContaining(['201', '401', '403', '409']),
    );
  });
});

describe('/v1/api-keys', () => {
  it('shows a new key once and keeps a hash of it', async () => {
    const seeded = await seedEnvironment(test.database);
    const created = await call({
      method: 'POST',
      url: '/v1/api-keys',
      key: seeded.apiKey,
      payload: { name: 'ci', scopes: ['segments:read'] },
    });
    expect(created.status).toBe(201);
    expect(created.body.key).toMatch(/^sk_live_/);
    expect(await call({ key: created.body.key })).toMatchObject({ status: 200, body: { environment_id: seeded.environmentId } });
    const list = await call({ url: '/v1/api-keys', key: seeded.apiKey });
    expect(list.body.data.map((entry: { name: string }) => entry.name)).toEqual(['test', 'ci']);
    expect(JSON.stringify(list.body)).not.toContain(created.body.key);
    const rows = await test.database.query({ text: 'SELECT * FROM tenancy.api_key' });
    expect(JSON.stringify(rows)).not.toContain(created.body.key.slice(8, -4));
  });

  it('pages through the keys in the order of their making', async () => {
    const { apiKey } = await seedEnvironment(test.database);
    for (const name of ['a', 'b'])
      await call({ method: 'POST', url: '/v1/api-keys', key: apiKey, payload: { name, scopes: ['keys:read'] } });
    const first = await call({ url: '/v1/api-keys?limit=2', key: apiKey });
    expect(first.body).toMatchObject({ has_more: true, data: [{ name: 'test' }, { name: 'a' }] });
    const second = await call({ url: `/v1/api-keys?limit=2&cursor=${first.body.next_cursor}`, key: apiKey });
    expect(second.body).toMatchObject({ has_more: false, next_cursor: null, data: [{ name: 'b' }] });
  });

  it('grants no scope that the caller lacks', async () => {
    const { apiKey } = await seedEnvironment(test.database, { scopes: ['keys:write', 'keys:read'] });
    const payload = { name: 'more', scopes: ['keys:read', 'campaigns:write'] };
    expect(await call({ method: 'POST', url: '/v1/api-keys', key: apiKey, payload })).toMatchObject({
      status: 403,
      body: { code: 'scope_not_grantable', scopes: ['campaigns:write'] },
    });
  });

  it('refuses unknown scopes, unknown fields and names that cannot be stored', async () => {
    const { apiKey } = await seedEnvironment(test.database);
    const payloads = [
      { name: 'x', scopes: [] },
      { name: 'x', scopes: ['everything'] },
      { name: '', scopes: ['keys:read'] },
      { name: 'x'.repeat(101), scopes: ['keys:read'] },
      { name: 'x', scopes: ['keys:read'], key: 'sk_live_mine' },
      { name: 5, scopes: ['keys:read'] },
    ];
    for (const payload of payloads) expect((await call({ method: 'POST', url: '/v1/api-keys', key: apiKey, payload })).status).toBe(400);
  });

  it('revokes a key at once, and again without a fault', async () => {
    const { apiKey } = await seedEnvironment(test.database);
    const created = await call({ method: 'POST', url: '/v1/api-keys', key: apiKey, payload: { name: 'ci', scopes: [...SCOPES] } });
    expect((await call({ key: created.body.key })).status).toBe(200);
    const url = `/v1/api-keys/${created.body.id}`;
    expect((await call({ method: 'DELETE', url, key: apiKey })).status).toBe(204);
    expect((await call({ key: created.body.key })).status).toBe(401);
    expect((await call({ method: 'DELETE', url, key: apiKey })).status).toBe(204);
  });

  it("answers alike for an unknown id and another environment's id, and leaves that key alone", async () => {
    const [mine, theirs] = [await seedEnvironment(test.database), await seedEnvironment(test.database)];
    const listed = await call({ url: '/v1/api-keys', key: theirs.apiKey });
    const ids = [listed.body.data[0].id as string, 'key_01jd8x0000e5q8xkq3gq0v2m6n', 'nonsense'];
    const answers = await Promise.all(ids.map((id) => call({ method: 'DELETE', url: `/v1/api-keys/${id}`, key: mine.apiKey })));
    expect(answers.map(({ status, body }) => [status, body.code, body.detail])).toEqual(
      ids.map(() => [404, 'api_key_not_found', answers[0]?.body.detail]),
    );
    expect((await call({ key: theirs.apiKey })).status).toBe(200);
  });

  it('holds the limit of live keys under concurrent requests', async () => {
    const { apiKey, environmentId } = await seedEnvironment(test.database);
    await test.database.execute({
      text: `INSERT INTO tenancy.api_key (environment_id, id, name, key_hash, last_four, scopes)
             SELECT $1, gen_random_uuid(), 'filler', sha256(gen_random_uuid()::text::bytea), '0000', '{}' FROM generate_series(1, $2)`,
      values: [environmentId, API_KEYS_LIVE_MAX - 3],
    });
    const payload = { name: 'one more', scopes: ['keys:read'] };
    const answers = await Promise.all(Array.from({ length: 8 }, () => call({ method: 'POST', url: '/v1/api-keys', key: apiKey, payload })));
    expect(answers.map(({ status }) => status).sort((left, right) => left - right)).toEqual([201, 201, 409, 409, 409, 409, 409, 409]);
  });
});

describe('/v1/environment', () => {
  it('shows the environment of the key', async () => {
    const { apiKey, publicKey } = await seedEnvironment(test.database, { kind: 'development' });
    expect(await call({ url: '/v1/environment', key: apiKey })).toMatchObject({
      status: 200,
      body: { kind: 'development', public_key: publicKey, allowed_origins: [] },
    });
  });

  it('replaces the allowed origins', async () => {
    const { apiKey } = await seedEnvironment(test.database);
    const payload = { allowed_origins: ['https://app.example.com', 'https://app.example.com', 'http://localhost:3000'] };
    const changed = await call({ method: 'PATCH', url: '/v1/environment', key: apiKey, payload });
    expect(changed).toMatchObject({ status: 200, body: { allowed_origins: ['https://app.example.com', 'http://localhost:3000'] } });
    expect((await call({ url: '/v1/environment', key: apiKey })).body).toEqual(changed.body);
  });

  it('replaces the protected traits and leaves the origins alone', async () => {
    const { apiKey } = await seedEnvironment(test.database, { allowedOrigins: ['https://app.example.com'] });
    const read = async () => (await call({ url: '/v1/environment', key: apiKey })).body;
    expect(await read()).toMatchObject({ protected_traits: ['plan', 'mrr'] });
    const payload = { protected_traits: ['plan', 'role', 'role'] };
    expect(await call({ method: 'PATCH', url: '/v1/environment', key: apiKey, payload })).toMatchObject({
      status: 200,
      body: { protected_traits: ['plan', 'role'], allowed_origins: ['https://app.example.com'] },
    });
    const invalid = { protected_traits: ['ok'], allowed_origins: ['*'] };
    expect((await call({ method: 'PATCH', url: '/v1/environment', key: apiKey, payload: invalid })).status).toBe(400);
    expect(await read()).toMatchObject({ protected_traits: ['plan', 'role'] });
  });

  it('names each entry that is not an origin and changes nothing', async () => {
    const { apiKey } = await seedEnvironment(test.database);
    const payload = { allowed_origins: ['https://app.example.com', '*', 'http://app.example.com'] };
    const refused = await call({ method: 'PATCH', url: '/v1/environment', key: apiKey, payload });
    expect(refused).toMatchObject({ status: 400, body: { code: 'allowed_origin_invalid' } });
    expect(refused.body.errors.map((fault: { pointer: string }) => fault.pointer)).toEqual(['/allowed_origins/1', '/allowed_origins/2']);
    expect((await call({ url: '/v1/environment', key: apiKey })).body.allowed_origins).toEqual([]);
  });

  it('refuses to change anything else', async () => {
    const { apiKey } = await seedEnvironment(test.database);
    const payload = { allowed_origins: [], kind: 'development' };
    expect((await call({ method: 'PATCH', url: '/v1/environment', key: apiKey, payload })).status).toBe(400);
  });
});
