import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import type { Readable } from 'node:stream';
import { Body, Controller, Get, Module, Post, Req } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyRequest } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BelfryConfig, ConfigError } from '#config';
import { httpConfig } from './http.config.js';
import { JsonBodyAs, StreamedBody } from './route-config.js';
import { createTestApp } from './test-app.js';

const STREAM_BYTES_MAX = 100_000;

@Controller('v1')
class EchoController {
  @Post('lines')
  @StreamedBody(['application/x-ndjson'], STREAM_BYTES_MAX)
  async lines(@Body() body: Readable | undefined) {
    return { characters: body === undefined ? 0 : (await text(body)).length };
  }

  @Post('echo')
  echo(@Body() body: object) {
    return body;
  }

  @Post('beacon')
  @JsonBodyAs('text/plain')
  beacon(@Body() body: object) {
    return body;
  }

  @Get('address')
  address(@Req() request: FastifyRequest) {
    return { address: request.ip };
  }
}

@Module({ controllers: [EchoController] })
class EchoModule {}

let app: NestFastifyApplication;
let port: number;

beforeAll(async () => {
  const env = { BELFRY_HTTP_HEADERS_TIMEOUT_MS: '500', BELFRY_HTTP_REQUEST_TIMEOUT_MS: '1000', BELFRY_HTTP_TRUST_PROXY: '10.0.0.0/8' };
  app = await createTestApp(EchoModule, env);
  await app.listen(0, '127.0.0.1');
  port = Number(new URL(await app.getUrl()).port);
});

afterAll(async () => {
  app.getHttpServer().closeAllConnections();
  await app.close();
});

/** Sends bytes on a bare socket and gives everything that comes back until the server hangs up. */
async function exchange(bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.write(bytes);
  return text(socket);
}

describe('requests that are not even requests', () => {
  it.each([
    ['garbage', 'nonsense\r\n\r\n', 400, 'request_refused'],
    [
      'both a length and chunks',
      'POST /v1/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
      'request_refused',
    ],
    ['two lengths', 'POST /v1/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nabcd', 400, 'request_refused'],
    ['headers without end', `GET / HTTP/1.1\r\nhost: x\r\nx-large: ${'a'.repeat(20_000)}\r\n\r\n`, 431, 'headers_too_large'],
    ['no host', 'GET /v1/address HTTP/1.1\r\nconnection: close\r\n\r\n', 400, 'request_refused'],
    ['an unknown expectation', 'GET /v1/address HTTP/1.1\r\nhost: x\r\nexpect: miracles\r\n\r\n', 417, 'request_refused'],
  ])('answers %s with a problem and hangs up', async (_, bytes, status, code) => {
    const answer = await exchange(bytes);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(answer).toContain('content-type: application/problem+json');
    expect(answer).toContain(`"code":"${code}"`);
  });

  it.each([
    ['headers', 'GET /v1/address HTTP/1.1\r\nhost:'],
    ['a body', 'POST /v1/echo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"a"'],
  ])('hangs up on a client that never finishes %s', async (_, bytes) => {
    const answer = await exchange(bytes);
    expect(answer).toContain('HTTP/1.1 408 ');
    expect(answer).toContain('"code":"request_timeout"');
  });
});

describe('streamed bodies', () => {
  function post(payload: string, type = 'application/x-ndjson', url = '/v1/lines') {
    return app.inject({ method: 'POST', url, payload, headers: { 'content-type': type } });
  }

  it('reach the route unparsed, also when they are larger than other bodies may be', async () => {
    expect((await post('{"a":1}\n{"a":2}\n', 'application/x-ndjson; charset=utf-8')).json()).toEqual({ characters: 16 });
  });

  it('are cut off at their limit', async () => {
    expect((await post('x'.repeat(STREAM_BYTES_MAX))).statusCode).toBe(201);
    expect((await post('x'.repeat(STREAM_BYTES_MAX + 1))).json()).toMatchObject({ status: 413, code: 'body_too_large' });
  });

  it('may be empty, but must be there', async () => {
    expect((await post('')).json()).toEqual({ characters: 0 });
    expect((await app.inject({ method: 'POST', url: '/v1/lines' })).json()).toMatchObject({ status: 400, code: 'validation_failed' });
  });

  it('are refused on routes that take JSON, as JSON is on theirs', async () => {
    expect((await post('{}', 'application/x-ndjson', '/v1/echo')).json()).toMatchObject({ code: 'media_type_unsupported' });
    expect((await post('{}', 'application/json')).json()).toMatchObject({ code: 'media_type_unsupported' });
    expect((await post('a,b', 'text/csv')).json()).toMatchObject({ code: 'media_type_unsupported' });
  });
});

describe('JSON under another content type', () => {
  function post(url: string, payload: string, type = 'text/plain;charset=UTF-8') {
    return app.inject({ method: 'POST', url, payload, headers: { 'content-type': type } });
  }

  it('is read as JSON where the route says so, by the same rules', async () => {
    expect((await post('/v1/beacon', '{"a":1}')).json()).toEqual({ a: 1 });
    expect((await post('/v1/beacon', '{"a":1}', 'application/json')).json()).toEqual({ a: 1 });
    expect((await post('/v1/beacon', 'hello')).json()).toMatchObject({ status: 400, code: 'json_malformed' });
    expect((await post('/v1/beacon', '{"a":"\\u0000"}')).json()).toMatchObject({ status: 400, code: 'validation_failed' });
  });

  it('is refused everywhere else', async () => {
    expect((await post('/v1/echo', '{"a":1}')).json()).toMatchObject({ status: 415, code: 'media_type_unsupported' });
    expect((await post('/v1/lines', '{"a":1}')).json()).toMatchObject({ status: 415, code: 'media_type_unsupported' });
    expect((await post('/v1/beacon', 'a,b', 'text/csv')).json()).toMatchObject({ status: 415, code: 'media_type_unsupported' });
  });
});

describe('the address of a client', () => {
  it("is the proxy's word only when the proxy is trusted", async () => {
    const headers = { 'x-forwarded-for': '203.0.113.9, 198.51.100.7' };
    const direct = await app.inject({ url: '/v1/address', headers, remoteAddress: '192.0.2.1' });
    expect(direct.json()).toEqual({ address: '192.0.2.1' });
    const proxied = await app.inject({ url: '/v1/address', headers, remoteAddress: '10.1.2.3' });
    expect(proxied.json()).toEqual({ address: '198.51.100.7' });
  });

  it.each(['true', '1', '0.0.0.0/0', 'example.com', '10.0.0.0/33', '::/0'])(
    'cannot be left to anybody: trust in %s is refused at start',
    (trustProxy) => {
      expect(() => BelfryConfig.load([httpConfig], { BELFRY_HTTP_TRUST_PROXY: trustProxy })).toThrow(ConfigError);
    },
  );
});
