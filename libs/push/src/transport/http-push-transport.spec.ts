import { createServer, type Server } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type FakePushService, startFakePushService, waitFor } from '#testing';
import { HttpPushTransport, type HttpPushTransportOptions } from './http-push-transport.js';
import type { PushTransportError } from './push-transport.errors.js';
import { TestSender } from './testing/test-sender.js';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const MANY = 200;

/** Far above what a busy machine needs: a test that is about a time limit sets its own. */
const PATIENT = { connectTimeoutMs: 60_000, totalTimeoutMs: 60_000 };

let service: FakePushService;
let transport: HttpPushTransport;
const sender = new TestSender();

function makeTransport(options: HttpPushTransportOptions = {}): HttpPushTransport {
  return new HttpPushTransport({ ca: service.ca, privateOrigins: Object.values(service.origins), ...PATIENT, ...options });
}

/** What became of each request: its status, or the reason of its failure. */
async function outcomesOf(sends: readonly Promise<{ status: number }>[]): Promise<(number | string)[]> {
  const settled = await Promise.allSettled(sends);
  return settled.map((result) => (result.status === 'fulfilled' ? result.value.status : (result.reason as PushTransportError).reason));
}

function sendMany(count = MANY): Promise<{ status: number }>[] {
  const device = service.createDevice();
  return Array.from({ length: count }, (_, index) => transport.send(sender.request(device, `message ${index}`)));
}

describe.each([
  { version: 'HTTP/2', httpVersion: '2.0', protocols: ['h2', 'http/1.1'] as const },
  { version: 'HTTP/1.1', httpVersion: '1.1', protocols: ['http/1.1'] as const },
])('HttpPushTransport over $version', ({ httpVersion, protocols }) => {
  beforeEach(async () => {
    service = await startFakePushService({ protocols });
    transport = makeTransport();
  });

  afterEach(async () => {
    await transport.close(0);
    await service.close();
    expect(service.violations).toEqual([]);
  });

  it('delivers an encrypted message with its headers and gives the answer', async () => {
    const device = service.createDevice();
    const response = await transport.send(sender.request(device, 'Grüße 👋', { ttlSeconds: 90, urgency: 'high', topic: 'abcd' }));
    expect(response).toEqual({ status: 201, retryAfter: undefined, body: '' });
    expect(service.received).toMatchObject([{ deviceId: device.deviceId, payload: 'Grüße 👋', ttl: 90, urgency: 'high', topic: 'abcd' }]);
    expect(service.counts.byHttpVersion).toEqual({ [httpVersion]: 1 });
  });

  it('carries 200 requests at once over few connections, each exactly once', async () => {
    expect(new Set(await outcomesOf(sendMany()))).toEqual(new Set([201]));
    expect(new Set(service.received.map(({ payload }) => payload)).size).toBe(MANY);
    expect(service.received).toHaveLength(MANY);
    expect(service.counts.connections).toBeLessThanOrEqual(httpVersion === '2.0' ? 8 : 64);
    expect(transport.inFlight).toBe(0);
  });

  it('uses a connection again', async () => {
    const device = service.createDevice();
    for (const text of ['one', 'two', 'three']) await transport.send(sender.request(device, text));
    expect(service.counts).toMatchObject({ accepted: 3, connections: 1 });
  });

  it('gives Retry-After and the first kilobyte of the body, and goes on with the connection', async () => {
    const body = 'x'.repeat(50_000);
    const device = service.createDevice({ behaviour: { answers: [{ status: 429, retryAfter: '7', body }, 201] } });
    const response = await transport.send(sender.request(device, 'one'));
    expect(response).toMatchObject({ status: 429, retryAfter: '7' });
    expect(response.body).toBe('x'.repeat(1_024));
    expect(await transport.send(sender.request(device, 'two'))).toMatchObject({ status: 201 });
    expect(service.counts.connections).toBe(1);
  });

  it('never follows a redirect', async () => {
    const other = service.createDevice();
    const device = service.createDevice({ behaviour: { answers: [{ status: 307, headers: { location: other.endpoint } }] } });
    expect(await transport.send(sender.request(device, 'one'))).toMatchObject({ status: 307 });
    expect(service.counts).toMatchObject({ requests: 1, accepted: 0 });
  });

  it('sends path and query byte for byte', async () => {
    const wns = await startFakePushService({ protocols, vendors: ['wns'] });
    const toWns = new HttpPushTransport({ ca: wns.ca, privateOrigins: [wns.origin], ...PATIENT });
    const device = wns.createDevice();
    expect(device.endpoint).toContain('?token=');
    expect(await toWns.send(sender.request(device, 'one'))).toMatchObject({ status: 201 });
    await toWns.close(0);
    await wns.close();
  });

  it('takes the reason from the header in which WNS gives it', async () => {
    const headers = { 'x-wns-error-description': 'The channel is throttled' };
    const device = service.createDevice({ behaviour: { answers: [{ status: 406, headers }] } });
    expect(await transport.send(sender.request(device, 'one'))).toMatchObject({ status: 406, body: 'The channel is throttled' });
  });

  it('reports a connection that is reset, and goes on with a new one', async () => {
    const device = service.createDevice({ behaviour: { answers: [{ fault: 'reset' }, 201] } });
    await expect(transport.send(sender.request(device, 'one'))).rejects.toMatchObject({ reason: 'connection_reset', mayHaveArrived: true });
    expect(await transport.send(sender.request(device, 'two'))).toMatchObject({ status: 201 });
  });

  it('loses no request of many when connections are reset: each is answered or reported', async () => {
    service.setBehaviour({ vendor: 'other' }, { answers: [...Array.from({ length: 60 }, () => 201), { fault: 'reset' }, 201] });
    const outcomes = await outcomesOf(sendMany());
    const answered = outcomes.filter((outcome) => outcome === 201).length;
    expect(outcomes.filter((outcome) => outcome === 'connection_reset')).toHaveLength(MANY - answered);
    expect(answered).toBeLessThan(MANY);
    expect(service.received.length).toBeGreaterThanOrEqual(answered);
  });

  it('gives up on a push service that never answers, and on that request alone', async () => {
    await transport.close(0);
    transport = makeTransport({ totalTimeoutMs: 200 });
    const silent = service.createDevice({ behaviour: { answers: [{ fault: 'no_answer' }] } });
    const request = transport.send(sender.request(silent, 'one'));
    await expect(request).rejects.toMatchObject({ reason: 'response_timeout', mayHaveArrived: true });
    expect(transport.inFlight).toBe(0);
  });

  it('takes an answer whose body never ends for an answer', async () => {
    const device = service.createDevice({ behaviour: { answers: [{ status: 201, headers: { 'content-length': '10' }, body: 'half' }] } });
    await transport.close(0);
    transport = makeTransport({ totalTimeoutMs: 300 });
    expect(await transport.send(sender.request(device, 'one'))).toMatchObject({ status: 201 });
  });

  it('gives up at once when the sender does, whichever request shares the signal', async () => {
    const device = service.createDevice({ behaviour: { answers: [{ fault: 'no_answer' }] } });
    const controller = new AbortController();
    const { signal } = controller;
    const sends = Array.from({ length: 20 }, () => transport.send(sender.request(device, 'one', { signal })));
    await waitFor(() => service.counts.requests === 20, { timeoutMs: 60_000 });
    controller.abort();
    expect(new Set(await outcomesOf(sends))).toEqual(new Set(['aborted']));
    await expect(transport.send(sender.request(device, 'two', { signal }))).rejects.toMatchObject({ reason: 'aborted' });
    expect(service.counts.requests).toBe(20);
  });

  it('closes connections that nothing uses, and opens new ones when needed', async () => {
    await transport.close(0);
    transport = makeTransport({ idleMs: 20, sweepEveryMs: 10 });
    const device = service.createDevice();
    await transport.send(sender.request(device, 'one'));
    await waitFor(() => transport.openConnections === 0 && service.counts.openConnections === 0);
    expect(await transport.send(sender.request(device, 'two'))).toMatchObject({ status: 201 });
  });

  it('drains what is in flight when it is closed, and takes nothing more', async () => {
    service.setBehaviour({ vendor: 'other' }, { delayMs: 50 });
    const sends = sendMany(20);
    await waitFor(() => service.counts.requests > 0);
    await transport.close(5_000);
    expect(new Set(await outcomesOf(sends))).toEqual(new Set([201]));
    await expect(transport.send(sender.request(service.createDevice(), 'late'))).rejects.toMatchObject({ reason: 'transport_closed' });
    await waitFor(() => service.counts.openConnections === 0);
  });

  it('fails what does not end in time when it is closed', async () => {
    service.setBehaviour({ vendor: 'other' }, { answers: [{ fault: 'no_answer' }] });
    const sends = sendMany(20);
    await waitFor(() => service.counts.requests > 0);
    await transport.close(10);
    expect(new Set(await outcomesOf(sends))).toEqual(new Set(['transport_closed']));
    await waitFor(() => service.counts.openConnections === 0);
  });

  it('refuses more waiting requests than allowed', async () => {
    await transport.close(0);
    transport = makeTransport({ waitingPerOriginMax: 10, sessionsPerOriginMax: 1, socketsPerOriginMax: 1 });
    const outcomes = await outcomesOf(sendMany(30));
    expect(outcomes).toContain('overloaded');
    expect(outcomes.filter((outcome) => outcome === 201).length).toBeGreaterThanOrEqual(10);
  });
});

describe('HttpPushTransport and the streams of HTTP/2', () => {
  beforeEach(async () => {
    service = await startFakePushService();
    transport = makeTransport();
  });

  afterEach(async () => {
    await transport.close(0);
    await service.close();
  });

  it('sends what a GOAWAY left unprocessed over another session: nothing is lost, nothing arrives twice', async () => {
    service.setBehaviour({ vendor: 'other' }, { answers: [...Array.from({ length: 40 }, () => 201), { fault: 'goaway' }, 201] });
    expect(new Set(await outcomesOf(sendMany()))).toEqual(new Set([201]));
    expect(service.received).toHaveLength(MANY);
    expect(new Set(service.received.map(({ payload }) => payload)).size).toBe(MANY);
    expect(service.counts.byFault).toEqual({ goaway: 1 });
  });

  it('tries a refused stream once on another session', async () => {
    const device = service.createDevice({ behaviour: { answers: [{ fault: 'refuse_stream' }, 201] } });
    expect(await transport.send(sender.request(device, 'one'))).toMatchObject({ status: 201 });
    expect(service.attempts.map(({ outcome }) => outcome)).toEqual(['refuse_stream', 201]);
    expect(service.counts.connections).toBe(2);
  });

  it('reports a stream that is refused again', async () => {
    const device = service.createDevice({ behaviour: { answers: [{ fault: 'refuse_stream' }] } });
    await expect(transport.send(sender.request(device, 'one'))).rejects.toMatchObject({ reason: 'refused_stream', mayHaveArrived: false });
    expect(service.attempts).toHaveLength(2);
  });

  it('keeps to the number of streams that the push service allows', async () => {
    await service.close();
    service = await startFakePushService({ streamsMax: 3 });
    transport = makeTransport({ sessionsPerOriginMax: 4 });
    service.setBehaviour({ vendor: 'other' }, { delayMs: 5 });
    expect(new Set(await outcomesOf(sendMany(60)))).toEqual(new Set([201]));
    expect(service.attempts).toHaveLength(60);
    expect(service.counts.connections).toBeLessThanOrEqual(4);
  });

  it('opens more sessions while more is in flight, up to its limit', async () => {
    service.setBehaviour({ vendor: 'other' }, { delayMs: 20 });
    const one = transport.send(sender.request(service.createDevice(), 'alone'));
    await one;
    expect(service.counts.connections).toBe(1);
    await Promise.all(sendMany(400));
    expect(service.counts.connections).toBe(8);
  });

  it('sends nothing again that may have arrived', async () => {
    const device = service.createDevice({ behaviour: { answers: [{ fault: 'lost_answer' }, 201] } });
    await expect(transport.send(sender.request(device, 'one'))).rejects.toMatchObject({ mayHaveArrived: true });
    expect(service.received).toHaveLength(1);
  });

  it('notices by pings that a connection is dead', async () => {
    const wire = await startSilentWire(service);
    transport = makeTransport({ privateOrigins: [wire.origin], pingTimeoutMs: 100, sweepEveryMs: 20, totalTimeoutMs: 10_000 });
    const device = service.createDevice();
    const toWire = (text: string) => {
      const request = sender.request(device, text);
      const { href, vendor } = request.endpoint;
      return transport.send({ ...request, endpoint: { href: href.replace(service.origin, wire.origin), origin: wire.origin, vendor } });
    };
    expect(await toWire('one')).toMatchObject({ status: 201 });
    wire.mute();
    await expect(toWire('two')).rejects.toMatchObject({ reason: 'connection_stalled', mayHaveArrived: true });
    await wire.close();
  });
});

describe('HttpPushTransport and the parser of HTTP/1.1', () => {
  beforeEach(async () => {
    service = await startFakePushService({ protocols: ['http/1.1'] });
    transport = makeTransport();
  });

  afterEach(async () => {
    await transport.close(0);
    await service.close();
  });

  it('fails a request that cannot be sent, and that one alone', async () => {
    const device = service.createDevice();
    const sends = [
      transport.send(sender.request(device, 'one')),
      transport.send(sender.request(device, 'two', { authorization: 'vapid\n' })),
      transport.send(sender.request(device, 'three')),
    ];
    expect(await outcomesOf(sends)).toEqual([201, 'request_invalid', 201]);
    expect(await outcomesOf([transport.send(sender.request(device, 'four', { topic: 'ü€' }))])).toEqual(['request_invalid']);
  });
});

/** A TCP relay to the service that can fall silent without closing anything, like a lost network. */
async function startSilentWire(target: FakePushService): Promise<{ origin: string; mute: () => void; close: () => Promise<void> }> {
  const { connect } = await import('node:net');
  const relays: { pause: () => void; destroy: () => void }[] = [];
  const server: Server = createServer((client) => {
    const upstream = connect(Number(new URL(target.origin).port), '127.0.0.1');
    client.pipe(upstream).pipe(client);
    client.on('error', () => upstream.destroy());
    upstream.on('error', () => client.destroy());
    relays.push({
      pause: () => {
        client.unpipe(upstream);
        upstream.unpipe(client);
        client.pause();
        upstream.pause();
      },
      destroy: () => {
        client.destroy();
        upstream.destroy();
      },
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    origin: `https://127.0.0.1:${port}`,
    mute: () => relays.forEach((relay) => relay.pause()),
    close: async () => {
      for (const relay of relays) relay.destroy();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}
