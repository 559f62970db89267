import { Global, Module } from '@nestjs/common';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { Database, DatabaseUnavailableError } from '#database';
import { EventLog } from '#event-log';
import { HealthRegistry } from './health.js';
import { createTestApp } from './test-app.js';

@Module({})
class EmptyModule {}

let app: NestFastifyApplication;

beforeEach(async () => {
  app = await createTestApp(EmptyModule);
});

afterEach(() => app.close());

describe('/health', () => {
  it('is alive and ready when each part works', async () => {
    app.get(HealthRegistry).register({ name: 'postgres', check: () => Promise.resolve() });
    expect((await app.inject('/health/live')).json()).toEqual({ status: 'live' });
    expect((await app.inject('/health/ready')).json()).toEqual({ status: 'ready', parts: [{ name: 'postgres', ok: true }] });
  });

  it('is alive but not ready when a part fails, and names it without its message', async () => {
    app.get(HealthRegistry).register({ name: 'postgres', check: () => Promise.reject(new TypeError('no route to host db.internal')) });
    app.get(HealthRegistry).register({ name: 'event-log', check: () => Promise.resolve() });
    expect((await app.inject('/health/live')).statusCode).toBe(200);
    const ready = await app.inject('/health/ready');
    expect(ready.statusCode).toBe(503);
    expect(ready.headers['content-type']).toBe('application/problem+json; charset=utf-8');
    expect(ready.json()).toMatchObject({
      type: '/docs/errors#not_ready',
      code: 'not_ready',
      request_id: ready.headers['x-request-id'],
      parts: [
        { name: 'postgres', ok: false, reason: 'TypeError' },
        { name: 'event-log', ok: true },
      ],
    });
    expect(ready.body).not.toContain('db.internal');
  });

  it('asks the parts once for probes that come at the same time', async () => {
    let checks = 0;
    app.get(HealthRegistry).register({ name: 'postgres', check: () => Promise.resolve(void (checks += 1)) });
    await Promise.all([app.inject('/health/ready'), app.inject('/health/ready'), app.inject('/health/ready')]);
    expect(checks).toBe(1);
  });

  it('counts a part that does not answer as broken', async () => {
    app.get(HealthRegistry).register({ name: 'stuck', check: () => new Promise(() => undefined) });
    expect((await app.inject('/health/ready')).json()).toMatchObject({ parts: [{ name: 'stuck', ok: false, reason: 'TimeoutError' }] });
  });
});

it('depends on Postgres and the event log where an app has them', async () => {
  @Global()
  @Module({
    providers: [
      { provide: Database, useValue: { ping: () => Promise.reject(new DatabaseUnavailableError('db.internal refused')) } },
      { provide: EventLog, useValue: { ping: () => Promise.resolve() } },
    ],
    exports: [Database, EventLog],
  })
  class StoresModule {}

  const dependent = await createTestApp(StoresModule);
  expect((await dependent.inject('/health/ready')).json()).toMatchObject({
    parts: [
      { name: 'postgres', ok: false, reason: 'DatabaseUnavailableError' },
      { name: 'event-log', ok: true },
    ],
  });
  await dependent.close();
});

describe('/metrics', () => {
  it('says how to turn metrics on when they are off', async () => {
    const answer = await app.inject('/metrics');
    expect(answer.json()).toMatchObject({ status: 404, code: 'metrics_off', hint: expect.stringContaining('OTEL_METRICS_EXPORTER') });
  });
});
