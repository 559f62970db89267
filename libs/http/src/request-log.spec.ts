import { type AddressInfo, connect } from 'node:net';
import { Body, Controller, Get, Module, Post } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { fastify } from 'fastify';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { WideLogger } from '#telemetry';
import { waitFor } from '#testing';
import { logRequests, RequestsInFlight } from './request-log.js';
import { createTestApp } from './test-app.js';

@Controller('v1/things')
class ThingsController {
  @Get(':id')
  read() {
    return {};
  }

  @Post()
  write(@Body() _body: object): never {
    throw new Error('broken by hand');
  }
}

@Module({ controllers: [ThingsController] })
class ThingsModule {}

let app: NestFastifyApplication;

beforeAll(async () => {
  app = await createTestApp(ThingsModule);
});

afterEach(() => vi.restoreAllMocks());

afterAll(() => app.close());

describe('the log of requests', () => {
  it('has one event per request with its route, and nothing that the client sent', async () => {
    const info = vi.spyOn(app.get(WideLogger), 'info');
    await app.inject({
      url: '/v1/things/secret-id?token=hunter2',
      headers: { authorization: 'Bearer hunter2', 'x-request-id': 'request-1' },
    });
    await vi.waitFor(() => expect(info).toHaveBeenCalled());
    expect(info.mock.calls).toEqual([
      [
        'http.request.served',
        { request_id: 'request-1', method: 'GET', route: '/v1/things/:id', status: 200, duration_ms: expect.any(Number) },
      ],
    ]);
  });

  it('has one error event with the reason of an unexpected failure', async () => {
    const error = vi.spyOn(app.get(WideLogger), 'error');
    const answer = await app.inject({ method: 'POST', url: '/v1/things', payload: { a: 1 } });
    expect(error.mock.calls).toEqual([
      [
        'http.request.failed',
        { request_id: answer.headers['x-request-id'], method: 'POST', route: '/v1/things', code: 'internal_error' },
        expect.objectContaining({ message: 'broken by hand' }),
      ],
    ]);
  });

  it('keeps probes and scrapes at debug level', async () => {
    const [info, debug] = [vi.spyOn(app.get(WideLogger), 'info'), vi.spyOn(app.get(WideLogger), 'debug')];
    await app.inject('/health/live');
    await vi.waitFor(() => expect(debug).toHaveBeenCalledWith('http.request.served', expect.objectContaining({ route: '/health/live' })));
    expect(info).not.toHaveBeenCalled();
  });
});

describe('RequestsInFlight', () => {
  it('forgets answers that wait behind another one, once their connection has ended', { timeout: 30_000 }, async () => {
    const [inFlight, asked] = [new RequestsInFlight(), [] as string[]];
    const instance = fastify();
    logRequests(instance, app.get(WideLogger), inFlight);
    instance.get('/:name', (request) => {
      asked.push(request.url);
      return request.url === '/slow' ? new Promise(() => undefined) : {};
    });
    await instance.listen({ port: 0, host: '127.0.0.1' });
    try {
      const client = connect((instance.server.address() as AddressInfo).port, '127.0.0.1');
      client.write(['slow', 'next', 'last'].map((name) => `GET /${name} HTTP/1.1\r\nHost: x\r\n\r\n`).join(''));
      await waitFor(() => asked.length === 3);
      client.destroy();
      await inFlight.drained(() => 0, AbortSignal.timeout(10_000));
    } finally {
      instance.server.closeAllConnections();
      await instance.close();
    }
  });
});
