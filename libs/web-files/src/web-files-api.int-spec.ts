import { gunzipSync } from 'node:zlib';
import { Module } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BelfryConfig } from '#config';
import { databaseConfig, DatabaseModule } from '#database';
import { createHttpApp, httpConfig } from '#http';
import { identityConfig, IdentityApiModule } from '#identity';
import { telemetryConfig } from '#telemetry';
import { seedEnvironment, tenancyConfig, TenancyModule } from '#tenancy';
import { createTestDatabase, type TestDatabase } from '#testing';
import { DemoLogin } from './demo-login/demo-login.js';
import { webFilesConfig } from './web-files.config.js';
import { DemoLoginModule, WebFilesModule } from './web-files.module.js';

const SECTIONS = [httpConfig, telemetryConfig, databaseConfig, tenancyConfig, identityConfig, webFilesConfig];
const ORIGIN = 'https://shop.example';

let test: TestDatabase;
let serving: NestFastifyApplication;
let silent: NestFastifyApplication;

async function makeApp(modules: readonly (typeof WebFilesModule)[], env: Record<string, string>): Promise<NestFastifyApplication> {
  @Module({ imports: [DatabaseModule.forRoot({ url: test.url }), TenancyModule, IdentityApiModule, ...modules] })
  class TestModule {}
  const variables = { BELFRY_SECRET_KEY: Buffer.alloc(32, 7).toString('base64'), LOG_LEVEL: 'silent', ...env };
  const app = await createHttpApp(TestModule, { name: 'test', config: BelfryConfig.load(SECTIONS, variables) });
  await app.init();
  return app;
}

beforeAll(async () => {
  test = await createTestDatabase();
  serving = await makeApp([WebFilesModule, DemoLoginModule], { BELFRY_WEB_CLIENT: 'true' });
  silent = await makeApp([WebFilesModule], {});
  await seedEnvironment(test.database, { allowedOrigins: [ORIGIN] });
});
afterAll(async () => {
  await serving?.close();
  await silent?.close();
  await test?.close();
});

describe('the browser client over HTTP', () => {
  it('is a module and a worker that any site may load, and that the worker may use for all of a site', async () => {
    const client = await serving.inject({ url: '/sdk/v1/belfry.js', headers: { origin: ORIGIN } });
    expect(client.statusCode).toBe(200);
    expect(client.headers).toMatchObject({
      'content-type': 'text/javascript; charset=utf-8',
      'access-control-allow-origin': ORIGIN,
      'cross-origin-resource-policy': 'cross-origin',
      'cache-control': 'public, max-age=300, stale-while-revalidate=86400',
      vary: 'Accept-Encoding, Origin',
    });
    expect(client.body).toMatch(/export\s*\{[^}]*\bas BelfryClient\b/);
    const worker = await serving.inject('/sdk/v1/belfry-worker.js');
    expect(worker.headers).toMatchObject({ 'service-worker-allowed': '/', 'cache-control': 'no-cache' });
    expect(worker.body).not.toMatch(/(^|[;}])\s*(import|export)\b/);
  });

  it('lets no page of an unknown origin read the module', async () => {
    const answer = await serving.inject({ url: '/sdk/v1/belfry.js', headers: { origin: 'https://evil.example' } });
    expect(answer.headers['access-control-allow-origin']).toBeUndefined();
  });

  it('is compressed for those who take it, and not sent again to those who have it', async () => {
    const plain = await serving.inject('/sdk/v1/belfry.js');
    const packed = await serving.inject({ url: '/sdk/v1/belfry.js', headers: { 'accept-encoding': 'br, gzip;q=0.8' } });
    expect(packed.headers['content-encoding']).toBe('gzip');
    expect(gunzipSync(packed.rawPayload).toString()).toBe(plain.body);
    expect(packed.headers['etag']).not.toBe(plain.headers['etag']);
    for (const refused of ['gzip;q=0', 'identity', 'xgzip']) {
      expect(
        (await serving.inject({ url: '/sdk/v1/belfry.js', headers: { 'accept-encoding': refused } })).headers['content-encoding'],
      ).toBe(undefined);
    }
    const etag = String(plain.headers['etag']);
    const again = await serving.inject({ url: '/sdk/v1/belfry.js', headers: { 'if-none-match': `"other", W/${etag}` } });
    expect([again.statusCode, again.body]).toEqual([304, '']);
  });

  it('shows a page that runs nothing inline and nothing foreign, and weighs little', async () => {
    const page = await serving.inject('/inbox');
    const policy = String(page.headers['content-security-policy']);
    expect(policy).toContain("default-src 'none'; script-src 'self'");
    expect(policy).not.toContain('unsafe');
    expect(page.headers).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-cache',
      'x-frame-options': 'DENY',
    });
    expect(page.body).not.toMatch(/<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=|https?:\/\/(?!www\.w3\.org)/);
    const parts = ['/inbox', '/inbox/inbox.css', '/inbox/inbox.js', '/inbox/bell.svg', '/sdk/v1/belfry.js'];
    const sizes = await Promise.all(
      parts.map(async (url) => (await serving.inject({ url, headers: { 'accept-encoding': 'gzip' } })).rawPayload.length),
    );
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(30_000);
  });

  it.each([
    '/sdk/v1/inbox.html',
    '/sdk/v1/..%2Fpackage.json',
    '/inbox/package.json',
    '/inbox/..%2f..%2fpackage.json',
    '/inbox/belfry.js',
    '/sdk/v1/__proto__',
  ])('has no file at %s', async (url) => {
    const answer = await serving.inject(url);
    expect(answer.statusCode).toBe(404);
    expect(answer.json()).toMatchObject({ code: 'web_file_not_found' });
  });

  it('is not served unless it was asked for', async () => {
    for (const url of ['/sdk/v1/belfry.js', '/inbox', '/inbox/inbox.js']) {
      expect((await silent.inject(url)).json()).toMatchObject({ status: 404, code: 'web_file_not_found' });
    }
    expect((await silent.inject('/inbox/options')).json()).toEqual({ demo: null });
  });
});

describe("the demo's login over HTTP", () => {
  const login = (app: NestFastifyApplication, body: object, headers: Record<string, string> = {}, remoteAddress = '127.0.0.1') =>
    app.inject({ method: 'POST', url: '/demo/login', payload: body, headers: { host: '127.0.0.1:3000', ...headers }, remoteAddress });
  const body = { public_key: 'pk_test_demo', subscriber_id: 'customer-1' };

  it('signs for the person at this machine once the demo has opened its environment, and for nobody else', async () => {
    expect((await login(serving, body)).json()).toMatchObject({ status: 403, code: 'demo_login_refused' });
    const access = { kind: 'development', publicKey: 'pk_test_demo', identitySecret: 'isk_demo', subscriberId: 'customer-1' } as const;
    serving.get(DemoLogin).admit(access);
    const signed = await login(serving, body);
    expect(signed.json()).toEqual({ subscriber_hash: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect((await serving.inject('/inbox/options')).json()).toEqual({ demo: { public_key: 'pk_test_demo', subscriber_id: 'customer-1' } });
    for (const refused of [
      await login(serving, body, {}, '192.0.2.1'),
      await login(serving, body, { host: 'belfry.example' }),
      await login(serving, body, { 'x-forwarded-for': '127.0.0.1' }),
      await login(serving, body, { origin: 'https://evil.example' }),
      await login(serving, { ...body, public_key: 'pk_live_other' }),
    ]) {
      expect(refused.json()).toMatchObject({ status: 403, code: 'demo_login_refused' });
      expect(refused.body).not.toContain('isk_demo');
    }
    expect((await login(serving, { ...body, subscriber_id: 7 })).json()).toMatchObject({ status: 400, code: 'validation_failed' });
  });

  it('does not exist where it was not asked for', async () => {
    expect((await login(silent, body)).json()).toMatchObject({ status: 404, code: 'route_not_found' });
  });
});
