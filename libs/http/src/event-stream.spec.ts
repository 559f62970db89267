import { once } from 'node:events';
import { connect } from 'node:net';
import { Controller, Get, Module, Res } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyReply } from 'fastify';
import { afterEach, describe, expect, it } from 'vitest';
import { waitFor } from '#testing';
import { countEventStreams, type EventStream, openEventStream } from './event-stream.js';
import { ShutdownService } from './shutdown.js';
import { createTestApp } from './test-app.js';

const HEARTBEAT_MS = 20;
const BUFFER_BYTES_MAX = 4_096;

let opened: EventStream[] = [];
let arrivals = 0;

@Controller('stream')
class StreamController {
  @Get()
  stream(@Res() reply: FastifyReply): void {
    opened.push(openEventStream(reply, { heartbeatMs: HEARTBEAT_MS, bufferBytesMax: BUFFER_BYTES_MAX }));
  }

  @Get('late')
  async late(@Res() reply: FastifyReply): Promise<void> {
    arrivals += 1;
    await once(reply.raw, 'close');
    this.stream(reply);
  }
}

@Module({ controllers: [StreamController] })
class StreamModule {}

let app: NestFastifyApplication;

async function listen(): Promise<string> {
  opened = [];
  arrivals = 0;
  app = await createTestApp(StreamModule, { BELFRY_SHUTDOWN_DRAIN_MS: '5000' });
  await app.listen(0, '127.0.0.1');
  return app.getUrl();
}

afterEach(async () => {
  opened.forEach((stream) => stream.close());
  app.getHttpServer().closeAllConnections();
  await app.close();
});

async function readUntil(reader: ReadableStreamDefaultReader<Uint8Array>, text: string): Promise<string> {
  const decoder = new TextDecoder();
  let read = '';
  while (!read.includes(text)) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`The stream ended before "${text}": ${read}`);
    read += decoder.decode(value, { stream: true });
  }
  return read;
}

async function openClient(url: string, signal?: AbortSignal) {
  const response = await fetch(`${url}/stream`, { signal: signal ?? null });
  if (response.body === null) throw new Error('no body');
  const stream = opened.at(-1);
  if (stream === undefined) throw new Error('no stream');
  return { response, reader: response.body.getReader(), stream };
}

function instance() {
  return app.getHttpAdapter().getInstance();
}

describe('openEventStream', () => {
  it('tells proxies not to buffer, keeps the headers of each answer, and sends events with ids', async () => {
    const { response, reader, stream } = await openClient(await listen());
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(response.headers.get('cache-control')).toBe('no-cache, no-transform');
    expect(response.headers.get('x-accel-buffering')).toBe('no');
    expect(response.headers.get('x-request-id')).not.toBeNull();
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    expect(stream.send({ id: '7', event: 'progress', data: { text: 'two\nlines' } })).toBe(true);
    const text = await readUntil(reader, 'lines"}\n\n');
    expect(text).toMatch(/^retry: \d+\n\n/);
    expect(text).toContain('id: 7\nevent: progress\ndata: {"text":"two\\nlines"}\n\n');
  });

  it('answers HEAD with the headers alone, at once', async () => {
    const response = await fetch(`${await listen()}/stream`, { method: 'HEAD' });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toMatch('text/event-stream');
    expect(opened.map(({ signal }) => signal.aborted)).toEqual([true]);
  });

  it('sends heartbeats while nothing happens', async () => {
    const { reader } = await openClient(await listen());
    expect(await readUntil(reader, ': heartbeat\n\n')).toContain(': heartbeat');
  });

  it('refuses ids and names that would forge other fields', async () => {
    const { stream } = await openClient(await listen());
    expect(() => stream.send({ id: '1\ndata: forged', event: 'x', data: 1 })).toThrow('one line of text');
    expect(() => stream.send({ event: 'x\r', data: 1 })).toThrow('one line of text');
  });

  it('notices when the client leaves', async () => {
    const leaving = new AbortController();
    const { stream } = await openClient(await listen(), leaving.signal);
    const closed = new Promise<void>((resolve) => stream.onClose(resolve));
    leaving.abort();
    await closed;
    expect(stream.signal.aborted).toBe(true);
    expect(stream.send({ event: 'late', data: 1 })).toBe(false);
    expect(countEventStreams(instance())).toBe(0);
  });

  it('has ended when the client left before it was opened', async () => {
    const url = await listen();
    const leaving = new AbortController();
    const answer = fetch(`${url}/stream/late`, { signal: leaving.signal });
    await waitFor(() => arrivals > 0);
    leaving.abort();
    await expect(answer).rejects.toThrow('aborted');
    await waitFor(() => opened.length > 0);
    expect(opened[0]?.signal.aborted).toBe(true);
    expect(countEventStreams(instance())).toBe(0);
  });

  it('cuts off a reader that does not keep up instead of filling the memory', async () => {
    const { port } = new URL(await listen());
    const socket = connect(Number(port), '127.0.0.1').pause();
    socket.on('error', () => undefined);
    socket.write('GET /stream HTTP/1.1\r\nhost: x\r\n\r\n');
    await new Promise<void>((resolve) =>
      socket
        .once('readable', resolve)
        .once('data', () => resolve())
        .resume()
        .pause(),
    );
    const stream = opened[0];
    if (stream === undefined) throw new Error('no stream');
    const data = 'x'.repeat(1_000);
    let sent = 0;
    while (stream.send({ event: 'flood', data })) {
      sent += 1;
      if (sent > 100_000) throw new Error('The buffer has no bound.');
    }
    expect(stream.signal.aborted).toBe(true);
    expect(countEventStreams(instance())).toBe(0);
    socket.destroy();
  });

  it('calls back at once when the stream has ended already', async () => {
    const { stream } = await openClient(await listen());
    stream.close();
    let called = 0;
    stream.onClose(() => (called += 1));
    expect(called).toBe(1);
  });

  it('ends with a hint at shutdown, after requests in flight', async () => {
    const { reader } = await openClient(await listen());
    const shutdown = app.get(ShutdownService).shutdown('test');
    expect(await readUntil(reader, 'shutting_down')).toContain('event: closing\ndata: {"reason":"shutting_down"}\n\n');
    expect(await shutdown).toBe(true);
    expect(countEventStreams(instance())).toBe(0);
  });
});
