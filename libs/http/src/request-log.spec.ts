import { Body, Controller, Get, Module, Post } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { WideLogger } from '#telemetry';
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
