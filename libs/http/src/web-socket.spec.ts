import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Body, Controller, Get, HttpCode, Module, Post, Res } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyReply } from 'fastify';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { waitFor } from '#testing';
import { OriginRefused } from './testing/origin-refused.errors.js';
import { TakesWebSockets } from './route-config.js';
import { ShutdownService } from './shutdown.js';
import { createTestApp } from './test-app.js';
import { countWebSockets, openWebSocket, WEB_SOCKET_MESSAGE_BYTES_MAX, type WebSocketConnection } from './web-socket.js';

const HEARTBEAT_MS = 40;
const BUFFER_BYTES_MAX = 64 * 1_024;
const HANDSHAKE = ['GET /socket HTTP/1.1', 'Host: x', 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
const KEY = 'Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==';

let opened: WebSocketConnection[] = [];
let handled: string[] = [];
let failures: unknown[] = [];
/** What the handler waits for before it answers. */
let gate: Promise<void> = Promise.resolve();

@Controller()
class SocketController {
  @Get('socket')
  @TakesWebSockets('Echoes.')
  socket(@Res() reply: FastifyReply): void {
    const connection = openWebSocket(reply, { heartbeatMs: HEARTBEAT_MS, bufferBytesMax: BUFFER_BYTES_MAX });
    opened.push(connection);
    connection.handleTexts(
      async (text) => {
        await gate;
        if (text === 'break') throw new Error('broken');
        handled.push(text);
        connection.send(`echo ${text}`);
      },
      (error) => failures.push(error),
    );
  }

  @Get('refused')
  @TakesWebSockets('Never.')
  refuse(): void {
    throw new OriginRefused();
  }

  @Post('plain')
  @HttpCode(200)
  plain(@Body() body: unknown): unknown {
    return { body };
  }
}

@Module({ controllers: [SocketController] })
class SocketModule {}

describe('WebSockets', () => {
  let app: NestFastifyApplication;
  let port: number;
  const clients: WebSocket[] = [];
  const sockets: Socket[] = [];

  beforeEach(async () => {
    [opened, handled, failures] = [[], [], []];
    gate = Promise.resolve();
    app = await createTestApp(SocketModule, { BELFRY_SHUTDOWN_DRAIN_MS: '5000' });
    await app.listen(0, '127.0.0.1');
    port = Number(new URL(await app.getUrl()).port);
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.terminate();
    for (const socket of sockets.splice(0)) socket.destroy();
    app.getHttpServer().closeAllConnections();
    await app.close();
  });

  const instance = () => app.getHttpAdapter().getInstance();

  function dial(path = '/socket'): WebSocket {
    const client = new WebSocket(`ws://127.0.0.1:${port}${path}`);
    client.on('error', () => undefined);
    clients.push(client);
    return client;
  }

  async function open(): Promise<WebSocket> {
    const client = dial();
    await once(client, 'open');
    return client;
  }

  async function closeCode(client: WebSocket): Promise<number> {
    return ((await once(client, 'close')) as [number])[0];
  }

  /** A connection that says exactly these bytes. */
  async function raw(...lines: string[]): Promise<{ socket: Socket; text: () => string }> {
    const socket = connect(port, '127.0.0.1');
    sockets.push(socket);
    const received: Buffer[] = [];
    socket.on('data', (data) => received.push(data));
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    socket.write(`${lines.join('\r\n')}\r\n\r\n`);
    return { socket, text: () => Buffer.concat(received).toString('latin1') };
  }

  it('opens one, answers its texts in their order and forgets it when it ends', async () => {
    const client = await open();
    const answers: string[] = [];
    client.on('message', (data: Buffer) => answers.push(data.toString()));
    for (const text of ['one', 'two', 'ß 🎉']) client.send(text);
    await waitFor(() => answers.length === 3);
    expect(answers).toEqual(['echo one', 'echo two', 'echo ß 🎉']);
    expect(countWebSockets(instance())).toBe(1);
    client.close();
    await waitFor(() => countWebSockets(instance()) === 0);
    expect(opened[0]?.send('late')).toBe(false);
  });

  it('answers a refusal as every route does, and closes the connection', async () => {
    const { socket, text } = await raw('GET /refused HTTP/1.1', ...HANDSHAKE.slice(1), KEY);
    await once(socket, 'close');
    expect(text()).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n/);
    expect(text()).toContain('application/problem+json');
    expect(text()).toContain('"code":"test_origin_refused"');
  });

  it.each([
    ['a plain request', ['GET /socket HTTP/1.1', 'Host: x'], 426, 'upgrade_required'],
    ['an old version', [...HANDSHAKE.slice(0, 4), 'Sec-WebSocket-Version: 8', KEY], 400, 'web_socket_handshake_invalid'],
    ['no key', HANDSHAKE, 400, 'web_socket_handshake_invalid'],
    ['a short key', [...HANDSHAKE, 'Sec-WebSocket-Key: AAAA'], 400, 'web_socket_handshake_invalid'],
    ['an unknown path', ['GET /nothing HTTP/1.1', ...HANDSHAKE.slice(1), KEY], 404, 'route_not_found'],
  ])('refuses %s', async (_, lines, status, code) => {
    const { socket, text } = await raw(...lines, 'Connection: close');
    await once(socket, 'close');
    expect(text()).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(text()).toContain(`"code":"${code}"`);
    expect(opened).toEqual([]);
  });

  it.each(['chat, superchat', 'chat, chat', ' , ;'])('opens one whatever protocol is offered (%j), and agrees to none', async (names) => {
    const { text } = await raw(...HANDSHAKE, KEY, `Sec-WebSocket-Protocol: ${names}`);
    await waitFor(() => text().includes('\r\n\r\n'));
    expect(text()).toMatch(/^HTTP\/1\.1 101 /);
    expect(text()).not.toMatch(/sec-websocket-protocol/i);
    expect(countWebSockets(instance())).toBe(1);
  });

  it('goes on with ordinary requests that offer another protocol, bodies and following requests included', async () => {
    const body = '{"a":1}';
    const head = [
      'POST /plain HTTP/1.1',
      'Host: x',
      'Connection: Upgrade, HTTP2-Settings',
      'Upgrade: h2c',
      'HTTP2-Settings: AAMAAABkAAQAAP__',
    ];
    const { socket, text } = await raw(...head, 'Content-Type: application/json', `Content-Length: ${body.length}`);
    socket.write(body);
    await waitFor(() => text().includes('{"body":{"a":1}}'), { what: `the answer, got ${text()}` });
    socket.write(`POST /plain HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
    await once(socket, 'close');
    expect(text().match(/HTTP\/1\.1 200 OK/g)).toHaveLength(2);
  });

  describe('against bad clients', () => {
    /** After the handshake: these bytes. */
    async function frames(...bytes: number[][]): Promise<Socket> {
      const { socket, text } = await raw(...HANDSHAKE, KEY);
      await waitFor(() => text().startsWith('HTTP/1.1 101 '));
      socket.write(Buffer.from(bytes.flat()));
      return socket;
    }

    it.each([
      ['an unmasked frame', [0x81, 0x01, 0x61]],
      ['a reserved opcode', [0x83, 0x80, 0, 0, 0, 0]],
      ['a reserved bit', [0xc1, 0x80, 0, 0, 0, 0]],
      ['a fragmented ping', [0x09, 0x80, 0, 0, 0, 0]],
      ['a continuation of nothing', [0x80, 0x80, 0, 0, 0, 0]],
      ['a length of 2^63', [0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
      ['invalid UTF-8', [0x81, 0x82, 0, 0, 0, 0, 0xc3, 0x28]],
      ['HTTP', [...Buffer.from('GET / HTTP/1.1\r\n\r\n')]],
    ])('closes on %s and goes on serving', async (_, bytes) => {
      const socket = await frames(bytes);
      await once(socket, 'close');
      await waitFor(() => countWebSockets(instance()) === 0);
      const client = await open();
      client.send('still there');
      await once(client, 'message');
      expect(handled).toEqual(['still there']);
    });

    it('closes on a text that is too long, also in parts, and on bytes that are no text', async () => {
      const long = await open();
      long.send('x'.repeat(WEB_SOCKET_MESSAGE_BYTES_MAX + 1));
      expect(await closeCode(long)).toBe(1_009);
      const parts = await open();
      for (let part = 0; part < 3; part += 1) parts.send('x'.repeat(WEB_SOCKET_MESSAGE_BYTES_MAX / 2), { fin: part === 2 });
      expect(await closeCode(parts)).toBe(1_009);
      const bytes = await open();
      bytes.send(Buffer.from('x'));
      expect(await closeCode(bytes)).toBe(1_003);
      expect(handled).toEqual([]);
    });

    it('cuts off a reader that asks and does not read', async () => {
      const client = await open();
      client.pause();
      const text = 'x'.repeat(WEB_SOCKET_MESSAGE_BYTES_MAX - 100);
      const asking = setInterval(() => client.bufferedAmount < 1_000_000 && client.send(text), 1);
      try {
        await waitFor(() => countWebSockets(instance()) === 0, { what: 'the end of the slow reader', timeoutMs: 30_000 });
      } finally {
        clearInterval(asking);
      }
    });

    it('stops reading from a client that asks faster than it is answered', async () => {
      let release = (): void => undefined;
      gate = new Promise((resolve) => {
        release = resolve;
      });
      const client = await open();
      const filler = 'y'.repeat(8_000);
      for (let index = 0; index < 4_000; index += 1) client.send(`${index} ${filler}`);
      await waitFor(() => client.bufferedAmount > 1_000_000);
      expect(handled).toEqual([]);
      expect(countWebSockets(instance())).toBe(1);
      client.terminate();
      release();
      await waitFor(() => countWebSockets(instance()) === 0);
    });

    it('closes on more small texts at once than anybody has to say', async () => {
      gate = new Promise(() => undefined);
      const socket = await frames(...Array.from({ length: 3_000 }, () => [0x81, 0x81, 0, 0, 0, 0, 0x61]));
      await once(socket, 'close');
      await waitFor(() => countWebSockets(instance()) === 0);
    });

    it('cuts off a client that does not answer pings, and keeps one that does', async () => {
      const quiet = await frames();
      const client = await open();
      await once(quiet, 'close');
      await waitFor(() => countWebSockets(instance()) === 1);
      await once(client, 'ping');
      expect(client.readyState).toBe(WebSocket.OPEN);
    });

    it('closes a connection whose handler fails, and tells why', async () => {
      const client = await open();
      client.send('break');
      client.send('after');
      expect(await closeCode(client)).toBe(1_011);
      expect(failures).toEqual([new Error('broken')]);
      expect(handled).toEqual([]);
    });

    it('survives clients that leave in the middle of the handshake', async () => {
      for (let count = 0; count < 50; count += 1) {
        const { socket } = await raw(...HANDSHAKE, KEY);
        socket.resetAndDestroy();
      }
      await waitFor(() => countWebSockets(instance()) === 0);
      await open();
    });
  });

  it('ends all of them at shutdown with a reason, those that do not confirm as well', async () => {
    const client = await open();
    const { socket: deaf, text } = await raw(...HANDSHAKE, KEY);
    await waitFor(() => text().startsWith('HTTP/1.1 101 '));
    const code = closeCode(client);
    const cut = once(deaf, 'close');
    expect(await app.get(ShutdownService).shutdown('test')).toBe(true);
    expect(await code).toBe(1_001);
    await cut;
  });
});
