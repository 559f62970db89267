import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type FakePushService, startFakePushService, waitFor } from '#testing';
import { HttpPushTransport, type HttpPushTransportOptions } from './http-push-transport.js';
import { TestSender } from './testing/test-sender.js';
import type { PushRequest } from './push-transport.js';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const HOST = 'push.example';
const sender = new TestSender();

let service: FakePushService;
let transport: HttpPushTransport | undefined;

beforeEach(async () => {
  service = await startFakePushService({ hostname: HOST });
});

afterEach(async () => {
  await transport?.close(0);
  await service.close();
});

/** Sends to the service with a transport of these options. */
async function send(options: HttpPushTransportOptions, changes: Partial<PushRequest> = {}): Promise<{ status: number }> {
  transport = new HttpPushTransport({ connectTimeoutMs: 60_000, totalTimeoutMs: 60_000, ...options });
  return transport.send(sender.request(service.createDevice(), 'one', changes));
}

const toLoopback: HttpPushTransportOptions['lookup'] = (_hostname, _options, callback) =>
  callback(null, [{ address: '127.0.0.1', family: 4 }]);

describe('HttpPushTransport and whom it connects to', () => {
  it('connects to a private address of an origin that the operator listed', async () => {
    expect(await send({ ca: service.ca, lookup: toLoopback, privateOrigins: [service.origin] })).toMatchObject({ status: 201 });
  });

  it('never connects to a private address that a public name leads to', async () => {
    await expect(send({ ca: service.ca, lookup: toLoopback })).rejects.toMatchObject({
      reason: 'address_forbidden',
      mayHaveArrived: false,
    });
    expect(service.counts.connections).toBe(0);
  });

  it.each(['https://127.0.0.1', 'https://[::1]', 'https://169.254.169.254', 'https://[::ffff:7f00:1]'])(
    'never connects to the literal address of %s',
    async (origin) => {
      const endpoint = { href: `${origin}/push/x`, origin, vendor: 'other' as const };
      await expect(send({ ca: service.ca }, { endpoint })).rejects.toMatchObject({ reason: 'address_forbidden' });
    },
  );

  it('trusts only certificates of its authorities', async () => {
    await expect(send({ lookup: toLoopback, privateOrigins: [service.origin] })).rejects.toMatchObject({ reason: 'tls_failed' });
    expect(service.counts.requests).toBe(0);
  });

  it('refuses a certificate of another host', async () => {
    const origin = service.origin.replace(HOST, 'other.example');
    const endpoint = { href: `${origin}/push/x`, origin, vendor: 'other' as const };
    const options = { ca: service.ca, lookup: toLoopback, privateOrigins: [origin] };
    await expect(send(options, { endpoint })).rejects.toMatchObject({ reason: 'tls_failed' });
  });

  it('says when the name has no address', async () => {
    const lookup: HttpPushTransportOptions['lookup'] = (_hostname, _options, callback) =>
      callback(Object.assign(new Error('unknown'), { code: 'ENOTFOUND' }), '', 0);
    await expect(send({ lookup })).rejects.toMatchObject({ reason: 'name_not_found', mayHaveArrived: false });
  });
});

describe('HttpPushTransport and peers that do not answer as they should', () => {
  let wire: { server: Server; origin: string; sockets: Socket[] };

  async function listen(onSocket: (socket: Socket) => void): Promise<HttpPushTransportOptions & { endpoint: PushRequest['endpoint'] }> {
    const sockets: Socket[] = [];
    const server = createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => undefined);
      onSocket(socket);
    });
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    const address = server.address();
    const origin = `https://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
    wire = { server, origin, sockets };
    return { privateOrigins: [origin], endpoint: { href: `${origin}/push/x`, origin, vendor: 'other' } };
  }

  afterEach(async () => {
    for (const socket of wire.sockets) socket.destroy();
    await new Promise((resolve) => {
      wire.server.close(resolve);
    });
  });

  it('gives up on a peer that accepts and says nothing', async () => {
    const { endpoint, ...options } = await listen((socket) => socket.resume());
    const sent = send({ ...options, connectTimeoutMs: 50 }, { endpoint });
    await expect(sent).rejects.toMatchObject({ reason: 'connect_timeout', mayHaveArrived: false });
    await waitFor(() => wire.sockets.every((socket) => socket.destroyed || socket.readableEnded));
  });

  it('gives up on a peer that does not speak TLS', async () => {
    const { endpoint, ...options } = await listen((socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n'));
    await expect(send(options, { endpoint })).rejects.toMatchObject({ reason: 'tls_failed' });
  });

  it('gives up on a peer that closes at once', async () => {
    const { endpoint, ...options } = await listen((socket) => socket.destroy());
    await expect(send(options, { endpoint })).rejects.toMatchObject({ reason: 'connection_reset' });
  });

  it('says when nobody listens, and tries anew with the next request', async () => {
    const { endpoint, ...options } = await listen((socket) => socket.resume());
    await new Promise((resolve) => {
      wire.server.close(resolve);
    });
    await expect(send(options, { endpoint })).rejects.toMatchObject({ reason: 'connection_refused' });
    await expect(transport?.send(sender.request(service.createDevice(), 'two', { endpoint }))).rejects.toMatchObject({
      reason: 'connection_refused',
    });
  });

  it('drops a connection that is being opened when it is closed', async () => {
    const { endpoint, ...options } = await listen((socket) => socket.resume());
    const sent = send(options, { endpoint });
    const failed = expect(sent).rejects.toMatchObject({ reason: 'transport_closed' });
    await waitFor(() => wire.sockets.length === 1);
    await transport?.close(0);
    await failed;
    await waitFor(() => wire.sockets[0]?.readableEnded === true || wire.sockets[0]?.destroyed === true);
  });
});
