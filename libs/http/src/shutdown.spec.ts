import { type AddressInfo, createServer } from 'node:net';
import { Controller, Get, Module } from '@nestjs/common';
import { type CustomTransportStrategy, Server } from '@nestjs/microservices';
import { describe, expect, it, vi } from 'vitest';
import { BelfryConfig } from '#config';
import { silentLogger, telemetryConfig } from '#telemetry';
import { createHttpApp, startHttpApp } from './create-http-app.js';
import { httpConfig } from './http.config.js';
import { SHUTDOWN_STAGES, ShutdownService, type ShutdownStage } from './shutdown.js';
import { createTestApp } from './test-app.js';

function createService(env: Record<string, string> = {}): ShutdownService {
  return new ShutdownService(BelfryConfig.load([httpConfig], env), silentLogger());
}

/** A promise with its handle outside. */
function gate(): { promise: Promise<void>; open: () => void } {
  let open = (): void => undefined;
  const promise = new Promise<void>((resolve) => (open = resolve));
  return { promise, open };
}

describe('ShutdownService', () => {
  it('runs the stages in order, whatever the order of registration', async () => {
    const service = createService();
    const seen: (ShutdownStage | undefined)[] = [];
    for (const stage of SHUTDOWN_STAGES.toReversed()) service.register({ stage, name: stage, run: () => void seen.push(service.stage) });
    expect(await service.shutdown('test')).toBe(true);
    expect(seen).toEqual(SHUTDOWN_STAGES);
  });

  it('runs once, however often it is asked', async () => {
    const service = createService();
    let runs = 0;
    service.register({ stage: 'stop', name: 'count', run: () => void (runs += 1) });
    await Promise.all([service.shutdown('a'), service.shutdown('b')]);
    expect(runs).toBe(1);
  });

  it('goes on after a hook that fails, and says so', async () => {
    const service = createService();
    let closed = false;
    service.register({ stage: 'drain', name: 'broken', run: () => Promise.reject(new Error('no')) });
    service.register({
      stage: 'drain',
      name: 'throwing',
      run: () => {
        throw new Error('no');
      },
    });
    service.register({ stage: 'database', name: 'pool', run: () => void (closed = true) });
    expect(await service.shutdown('test')).toBe(false);
    expect(closed).toBe(true);
  });

  it('goes on when the time of a stage is over, and tells the hook by its signal', async () => {
    const service = createService({ BELFRY_SHUTDOWN_DRAIN_MS: '0' });
    const aborted = gate();
    service.register({
      stage: 'drain',
      name: 'stuck',
      run: (signal) => {
        signal.addEventListener('abort', aborted.open);
        return gate().promise;
      },
    });
    expect(await service.shutdown('test')).toBe(false);
    await aborted.promise;
  });

  it('exits after the stages on the first signal and at once on the second', async () => {
    const service = createService();
    const listeners = new Map<string, () => void>();
    const codes: number[] = [];
    const stuck = gate();
    const exited = gate();
    service.register({ stage: 'drain', name: 'slow', run: () => stuck.promise });
    service.listenForSignals({
      onSignal: (signal, listener) => void listeners.set(signal, listener),
      exit: (code) => (codes.push(code), codes.length === 2 && exited.open()),
    });
    listeners.get('SIGTERM')?.();
    expect(codes).toEqual([]);
    listeners.get('SIGINT')?.();
    expect(codes).toEqual([130]);
    stuck.open();
    await exited.promise;
    expect(codes).toEqual([130, 0]);
  });
});

describe('an app in shutdown', () => {
  it('ends its consumers before its modules', async () => {
    const seen: string[] = [];

    class Consumers extends Server implements CustomTransportStrategy {
      listen(done: () => void): void {
        seen.push('consuming');
        done();
      }
      close(): void {
        seen.push(`consumers closed in ${service.stage}`);
      }
      override on(): void {}
      override unwrap<Transport>(): Transport {
        throw new Error('There is no transport.');
      }
    }

    @Module({})
    class PoolModule {
      onApplicationShutdown(): void {
        seen.push(`pool closed in ${service.stage}`);
      }
    }

    const config = BelfryConfig.load([httpConfig, telemetryConfig], {
      LOG_LEVEL: 'silent',
      BELFRY_HTTP_PORT: '0',
      BELFRY_HTTP_HOST: '127.0.0.1',
    });
    const app = await createHttpApp(PoolModule, { name: 'test', config });
    const service = app.get(ShutdownService);
    vi.spyOn(service, 'listenForSignals').mockReturnValue();
    app.connectMicroservice({ strategy: new Consumers() });
    const url = await startHttpApp(app);
    expect((await fetch(`${url}/health/ready`)).status).toBe(200);
    expect(await service.shutdown('test')).toBe(true);
    expect(seen).toEqual(['consuming', 'consumers closed in drain', 'consumers closed in database', 'pool closed in database']);
  });

  it('happens as well when the start fails', async () => {
    let closed = false;

    @Module({})
    class PoolModule {
      onApplicationShutdown(): void {
        closed = true;
      }
    }

    const blocker = createServer();
    await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve));
    const { port } = blocker.address() as AddressInfo;
    const env = { LOG_LEVEL: 'silent', BELFRY_HTTP_PORT: String(port), BELFRY_HTTP_HOST: '127.0.0.1' };
    const app = await createHttpApp(PoolModule, { name: 'test', config: BelfryConfig.load([httpConfig, telemetryConfig], env) });
    vi.spyOn(app.get(ShutdownService), 'listenForSignals').mockReturnValue();
    await expect(startHttpApp(app)).rejects.toThrow('another process has this port');
    expect(closed).toBe(true);
    blocker.close();
  });

  it('stops being ready, finishes the request in flight, refuses new connections and closes the modules', async () => {
    const started = gate();
    const mayFinish = gate();
    let destroyed = false;

    @Controller('slow')
    class SlowController {
      @Get()
      async read() {
        started.open();
        await mayFinish.promise;
        return { done: true };
      }
    }

    @Module({ controllers: [SlowController] })
    class SlowModule {
      onApplicationShutdown(): void {
        destroyed = true;
      }
    }

    const app = await createTestApp(SlowModule);
    await app.listen(0, '127.0.0.1');
    const url = await app.getUrl();
    const service = app.get(ShutdownService);
    const draining = gate();
    service.register({ stage: 'drain', name: 'probe', run: draining.open });
    const answer = fetch(`${url}/slow`);
    await started.promise;
    const shutdown = service.shutdown('test');
    await draining.promise;
    await expect(fetch(`${url}/health/live`)).rejects.toThrow('fetch failed');
    const ready = await app.inject('/health/ready');
    expect(ready.statusCode).toBe(503);
    expect(ready.json()).toMatchObject({ code: 'not_ready', parts: [{ name: 'process', ok: false, reason: 'shutting_down' }] });
    expect(destroyed).toBe(false);
    mayFinish.open();
    expect(await (await answer).json()).toEqual({ done: true });
    expect(await shutdown).toBe(true);
    expect(destroyed).toBe(true);
  });
});
