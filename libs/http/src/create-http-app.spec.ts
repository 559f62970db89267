import { Body, Controller, Get, HttpException, Module, Param, Post, Query } from '@nestjs/common';
import { ApiOperation } from '@nestjs/swagger';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { BelfryError, type ErrorFacts } from '#contracts';
import { listCursor } from './cursor.js';
import { JSON_DEPTH_MAX, JSON_VALUES_MAX } from './json-body.js';
import { pageQuerySchema, type PageQuery } from './page.js';
import { Returns } from './returns.js';
import { BodyBytesMax } from './route-config.js';
import { Public, Throws } from './routes.js';
import { createTestApp } from './test-app.js';
import { textSchema } from './text-schema.js';

class BellNotFoundError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'bell_not_found',
    httpStatus: 404,
    disposition: 'dead-letter',
    title: 'There is no such bell',
    hint: 'List the bells.',
  };
}

class BellBusyError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'bell_busy',
    httpStatus: 503,
    disposition: 'retry',
    title: 'The bell is busy',
    hint: 'Try again.',
  };
}

const bellSchema = z.strictObject({
  name: textSchema({ min: 1, max: 20 }),
  tones: z
    .array(z.strictObject({ 'a/b': z.int().min(0).max(10) }))
    .max(100)
    .optional(),
  data: z.record(z.string(), z.unknown()).optional(),
});

@Controller('v1/bells')
class BellsController {
  @Post()
  @ApiOperation({ summary: 'Make a bell' })
  @Public('test')
  @Returns(201, z.object({ name: z.string() }), 'The bell.')
  create(@Body({ schema: bellSchema }) body: z.infer<typeof bellSchema>) {
    return { name: body.name };
  }

  @Post('large')
  @BodyBytesMax(2_000_000)
  @Returns(200, z.object({ bytes: z.int() }), 'The size.')
  large(@Body() body: unknown) {
    return { bytes: JSON.stringify(body).length };
  }

  @Get()
  @Returns(200, z.object({ limit: z.int() }), 'The page.')
  list(@Query({ schema: pageQuerySchema(listCursor('bells')) }) query: PageQuery) {
    return query;
  }

  @Get(':name')
  @Throws(BellNotFoundError)
  @Returns(200, z.object({}), 'The bell.')
  read(@Param('name') name: string): never {
    if (name === 'busy') throw new BellBusyError('It rings.', { details: { retry_after_seconds: 7 } });
    if (name === 'broken') throw new Error('password of the database is hunter2');
    if (name === 'teapot') throw new HttpException('Short and stout.', 418);
    throw new BellNotFoundError(`There is no bell ${name}.`, { details: { name, status: 200 } });
  }
}

@Module({ controllers: [BellsController] })
class BellsModule {}

let app: NestFastifyApplication;

beforeAll(async () => {
  app = await createTestApp(BellsModule);
});

afterAll(() => app.close());

function post(payload: string | Buffer | object, headers: Record<string, string> = {}, url = '/v1/bells') {
  return app.inject({ method: 'POST', url, payload, headers: { 'content-type': 'application/json', ...headers } });
}

describe('problem answers', () => {
  it("answers an expected failure with its class's facts and details, which never replace standard members", async () => {
    const answer = await app.inject({ url: '/v1/bells/tenor', headers: { 'x-request-id': 'trace-me-please' } });
    expect(answer.statusCode).toBe(404);
    expect(answer.headers['content-type']).toBe('application/problem+json; charset=utf-8');
    expect(answer.json()).toEqual({
      type: '/docs/errors#bell_not_found',
      title: 'There is no such bell',
      status: 404,
      detail: 'There is no bell tenor.',
      code: 'bell_not_found',
      hint: 'List the bells.',
      request_id: 'trace-me-please',
      name: 'tenor',
    });
  });

  it('shows nothing of an unexpected error', async () => {
    const answer = await app.inject('/v1/bells/broken');
    expect(answer.statusCode).toBe(500);
    expect(answer.json()).toMatchObject({ code: 'internal_error', request_id: answer.headers['x-request-id'] });
    expect(answer.body).not.toContain('hunter2');
  });

  it('says when to come back', async () => {
    const answer = await app.inject('/v1/bells/busy');
    expect(answer.statusCode).toBe(503);
    expect(answer.headers['retry-after']).toBe('7');
  });

  it("keeps the status of Nest's own exceptions", async () => {
    const answer = await app.inject('/v1/bells/teapot');
    expect(answer.json()).toMatchObject({ status: 418, code: 'request_refused', detail: 'Short and stout.' });
  });

  it('answers an unknown route with a problem', async () => {
    const answer = await app.inject({ method: 'POST', url: '/v1/nothing', payload: { a: 1 } });
    expect(answer.statusCode).toBe(404);
    expect(answer.json()).toMatchObject({ code: 'route_not_found', request_id: answer.headers['x-request-id'] });
  });

  it('answers a wrong method with 405 and the methods there are', async () => {
    const answer = await app.inject({ method: 'DELETE', url: '/v1/bells?x=1' });
    expect(answer.statusCode).toBe(405);
    expect(answer.headers['allow']).toBe('GET, HEAD, POST');
    expect(answer.json()).toMatchObject({ code: 'method_not_allowed' });
  });
});

describe('request ids and headers', () => {
  it.each(['short', 'has blank inside', 'x'.repeat(129), 'quote"quote'])('replaces the unusable request id %s', async (brought) => {
    const answer = await app.inject({ url: '/health/live', headers: { 'x-request-id': brought } });
    expect(answer.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('puts the security headers on each answer', async () => {
    for (const url of ['/health/live', '/v1/nothing', '/v1/bells/%zz']) {
      const { headers } = await app.inject(url);
      expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'cache-control': 'no-store', 'x-frame-options': 'DENY' });
      expect(headers['content-security-policy']).toContain("default-src 'none'");
      expect(headers['x-request-id']).toBeDefined();
    }
  });
});

describe('hostile bodies', () => {
  it.each([
    ['cut off', '{"name":'],
    ['with trailing bytes', '{"name":"a"} x'],
    ['with NaN', '{"name":NaN}'],
    ['with a byte order mark only', '\ufeff'],
    ['in UTF-16', Buffer.from('{"name":"a"}', 'utf16le')],
    ['of invalid UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])],
  ])('refuses a document %s as malformed', async (_, payload) => {
    const answer = await post(payload);
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toMatchObject({ code: 'json_malformed' });
  });

  it('refuses a body above the limit, and takes it on a route with a larger limit', async () => {
    const payload = JSON.stringify({ name: 'x'.repeat(1_100_000) });
    expect((await post(payload)).json()).toMatchObject({ status: 413, code: 'body_too_large' });
    expect((await post(payload, {}, '/v1/bells/large')).statusCode).toBe(200);
    expect((await post(`{"a":"${'x'.repeat(2_100_000)}"}`, {}, '/v1/bells/large')).json()).toMatchObject({ code: 'body_too_large' });
  });

  it.each(['[', '{"a":'])('refuses a document of ten thousand nested %s', async (opening) => {
    const closing = opening === '[' ? ']' : '}';
    const answer = await post(`${opening.repeat(10_000)}1${closing.repeat(10_000)}`);
    expect(answer.json()).toMatchObject({ status: 400, code: 'json_too_complex' });
  });

  it('takes a document of the deepest allowed nesting', async () => {
    const inner = '{"a":'.repeat(JSON_DEPTH_MAX - 2) + '1' + '}'.repeat(JSON_DEPTH_MAX - 2);
    expect((await post(`{"name":"a","data":{"b":1}}`)).statusCode).toBe(201);
    expect((await post(`{"name":"a","data":${inner}}`)).statusCode).toBe(201);
    expect((await post(`{"name":"a","data":{"b":${inner}}}`)).statusCode).toBe(201);
    expect((await post(`{"name":"a","data":{"b":{"c":${inner}}}}`)).json()).toMatchObject({ code: 'json_too_complex' });
  });

  it('refuses a document of too many values', async () => {
    const payload = `{"name":"a","data":{${Array.from({ length: JSON_VALUES_MAX }, (_, index) => `"k${index}":1`).join(',')}}}`;
    expect((await post(payload)).json()).toMatchObject({ status: 400, code: 'json_too_complex' });
  });

  it.each([
    '{"name":"a","__proto__":{"admin":true}}',
    '{"name":"a","data":{"x":{"__proto__":1}}}',
    '{"name":"a","data":{"constructor":{"prototype":{}}}}',
  ])('refuses the poisoned document %s', async (payload) => {
    expect((await post(payload)).json()).toMatchObject({ status: 400, code: 'json_key_forbidden' });
    expect(({} as Record<string, unknown>)['admin']).toBeUndefined();
  });

  it('takes "constructor" as a harmless name', async () => {
    expect((await post('{"name":"a","data":{"constructor":"Ada"}}')).statusCode).toBe(201);
  });

  it.each([
    '{"name":"a\\u0000b"}',
    '{"name":"a","data":{"x":"\\uD800"}}',
    '{"name":"a","data":{"x":"\\udc00\\ud800"}}',
    '{"name":"a","data":{"\\u0000":1}}',
  ])('refuses %s, which Postgres cannot store', async (payload) => {
    expect((await post(payload)).json()).toMatchObject({ status: 400, code: 'validation_failed' });
  });

  it('takes an escaped surrogate pair', async () => {
    expect((await post('{"name":"\\ud83d\\ude00"}')).json()).toEqual({ name: '😀' });
  });

  it.each([
    ['text/plain', 'x'],
    ['application/x-www-form-urlencoded', 'name=a'],
    ['application/x-ndjson', '{"name":"a"}'],
    ['multipart/form-data; boundary=x', '--x--'],
  ])('refuses the content type %s', async (type, payload) => {
    expect((await post(payload, { 'content-type': type })).json()).toMatchObject({ status: 415, code: 'media_type_unsupported' });
  });

  it('refuses a compressed body', async () => {
    expect((await post('{"name":"a"}', { 'content-encoding': 'gzip' })).json()).toMatchObject({
      status: 415,
      code: 'content_encoding_unsupported',
    });
  });

  it('refuses a body that is not as long as announced', async () => {
    expect((await post('{"name":"a"}', { 'content-length': '5' })).json()).toMatchObject({ status: 400, code: 'body_length_mismatch' });
  });

  it('takes an empty JSON body as no body', async () => {
    expect((await post('')).json()).toMatchObject({ code: 'validation_failed', errors: [{ pointer: '' }] });
  });
});

describe('hostile URLs', () => {
  it.each([
    '/v1/bells/%zz',
    '/v1/bells/a%00b',
    '/v1/bells?limit=%00',
    `/v1/bells/${'a'.repeat(2_000)}`,
    `/v1/bells?cursor=${'a'.repeat(9_000)}`,
  ])('refuses %.30s', async (url) => {
    const answer = await app.inject(url);
    expect(answer.json()).toMatchObject({ status: 400, code: 'url_invalid' });
  });
});

describe('validation', () => {
  it('names each broken place of a body by a JSON pointer', async () => {
    const answer = await post({ name: '', tones: [{ 'a/b': 1 }, { 'a/b': 11 }], 'x~y': 1 });
    expect(answer.statusCode).toBe(400);
    expect(answer.json().errors).toEqual([
      { pointer: '/name', code: 'too_small', message: expect.any(String) },
      { pointer: '/tones/1/a~1b', code: 'too_big', message: expect.any(String) },
      { pointer: '/x~0y', code: 'unknown_field', message: 'there is no such field' },
    ]);
  });

  it.each(['limit=0', 'limit=101', 'limit=1.5', 'limit=', 'limit=1&limit=2', 'cursor=', 'unknown=1'])(
    'refuses the query %s',
    async (query) => {
      const answer = await app.inject(`/v1/bells?${query}`);
      expect(answer.json()).toMatchObject({ status: 400, code: 'validation_failed', errors: [{ pointer: query.split('=', 1)[0] }] });
    },
  );

  it('hands the parsed query over, with defaults', async () => {
    expect((await app.inject('/v1/bells')).json()).toEqual({ limit: 20 });
    expect((await app.inject('/v1/bells?limit=100')).json()).toEqual({ limit: 100 });
  });
});
