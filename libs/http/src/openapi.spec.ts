import { Body, Controller, Delete, Get, Headers, Module, Param, Post, Query } from '@nestjs/common';
import { ApiBody, ApiOperation, ApiSecurity } from '@nestjs/swagger';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { BelfryError, type ErrorFacts } from '#contracts';
import { ReturnsEventStream } from './event-stream.js';
import { listCursor } from './cursor.js';
import { CursorInvalidError, IdempotencyKeyInvalidError, IdempotencyKeyReusedError } from './http.errors.js';
import { IdempotencyKey } from './idempotency.js';
import { problemSchema } from './openapi-problems.js';
import { buildDocument, findDocumentFaults } from './openapi.js';
import { pageQuerySchema, type PageQuery, pageSchema } from './page.js';
import { Returns } from './returns.js';
import { PresentsProblems, StreamedBody } from './route-config.js';
import { Public, Throws } from './routes.js';
import { createTestApp } from './test-app.js';
import { textSchema } from './text-schema.js';

class BellCrackedError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'bell_cracked',
    httpStatus: 409,
    disposition: 'dead-letter',
    title: 'The bell is cracked',
    hint: 'Cast another one.',
  };
}

const bellSchema = z.object({ name: z.string(), tone: z.enum(['low', 'high']) }).meta({ id: 'Bell' });
const newBellSchema = z
  .strictObject({ name: textSchema({ max: 20 }), tone: z.enum(['low', 'high']).default('low'), engraving: z.unknown().optional() })
  .meta({ id: 'NewBell' });

const ringSchema = z
  .strictObject({ times: z.int().min(1).optional() })
  .prefault({})
  .meta({ id: 'Ring' });

@Controller('v1/bells')
class BellsController {
  @Post('ring')
  @ApiOperation({ summary: 'Ring a bell' })
  @ApiSecurity('Session')
  @Returns(202, null, 'It rings.')
  ring(
    @Body({ schema: ringSchema }) body: z.infer<typeof ringSchema>,
    @IdempotencyKey() key: string | undefined,
    @Headers('authorization') authorization: string,
  ) {
    return { body, key, authorization };
  }

  @Post('song')
  @ApiOperation({ summary: 'Play many bells' })
  @Public('test')
  @ApiBody({ required: true, schema: { type: 'string' } })
  @StreamedBody(['application/x-ndjson'], 1_000)
  @Returns(204, null, 'It was played.')
  play(@Body() body: unknown) {
    return body;
  }

  @Post()
  @ApiOperation({ summary: 'Make a bell' })
  @ApiSecurity('ApiKey', ['bells:write'])
  @Returns(201, bellSchema, 'The bell.')
  @Throws(CursorInvalidError, IdempotencyKeyInvalidError, IdempotencyKeyReusedError, BellCrackedError)
  create(@Body({ schema: newBellSchema }) body: z.infer<typeof newBellSchema>) {
    return body;
  }

  @Get()
  @ApiOperation({ summary: 'List bells' })
  @Public('test')
  @Returns(200, pageSchema(bellSchema, 'BellPage'), 'One page.')
  list(@Query({ schema: pageQuerySchema(listCursor('bells')) }) query: PageQuery) {
    return query;
  }

  @Post('toll')
  @ApiOperation({ summary: 'Toll a bell' })
  @Public('test')
  @Returns(204, null, 'It tolls.')
  @Throws(BellCrackedError)
  @PresentsProblems({
    name: 'LoudProblem',
    schema: problemSchema.extend({ shout: z.string() }),
    present: (problem) => ({ ...problem, shout: problem.title.toUpperCase() }),
  })
  toll(@Body({ schema: newBellSchema }) body: z.infer<typeof newBellSchema>) {
    return body;
  }

  @Get('listen')
  @ApiOperation({ summary: 'Listen to the bells' })
  @Public('test')
  @ReturnsEventStream({ rang: bellSchema, silence: z.object({ seconds: z.int() }) }, 'What is heard.')
  listen() {
    return undefined;
  }

  @Delete(':bell_id')
  @ApiOperation({ summary: 'Delete a bell' })
  @ApiSecurity('Session')
  @Returns(204, null, 'It is gone.')
  remove(@Param('bell_id') bellId: string) {
    return bellId;
  }
}

@Controller('v1/careless')
class CarelessController {
  @Get()
  read() {
    return {};
  }

  @Post()
  @ApiOperation({ summary: 'Twice', operationId: 'bellsCreate' })
  @ApiSecurity('ApiKey')
  @Public('no, it is not')
  write() {
    return {};
  }
}

@Module({ controllers: [BellsController] })
class BellsModule {}

@Module({ imports: [BellsModule], controllers: [CarelessController] })
class CarelessModule {}

const FACTS = { title: 'Bells', description: 'Rings.', version: '1.2.3', publicUrl: 'https://bells.example' };

let app: NestFastifyApplication;

beforeAll(async () => {
  app = await createTestApp(BellsModule, { BELFRY_PUBLIC_URL: 'https://bells.example' });
});

afterAll(() => app.close());

describe('buildDocument', () => {
  it('is OpenAPI 3.1 in which each route has an id, a summary, answers, and a permission or a reason for having none', () => {
    const document = buildDocument(app, FACTS);
    expect(document.openapi).toBe('3.1.0');
    expect(document.servers).toEqual([{ url: 'https://bells.example' }]);
    expect(Object.keys(document.paths).sort()).toEqual([
      '/health/live',
      '/health/ready',
      '/metrics',
      '/v1/bells',
      '/v1/bells/listen',
      '/v1/bells/ring',
      '/v1/bells/song',
      '/v1/bells/toll',
      '/v1/bells/{bell_id}',
    ]);
    expect(findDocumentFaults(document)).toEqual([]);
  });

  it('names the schemas of bodies and answers as components', () => {
    const { components, paths } = buildDocument(app, FACTS);
    const create = paths['/v1/bells']?.post;
    expect(create?.operationId).toBe('bellsCreate');
    expect(create?.requestBody).toMatchObject({ content: { 'application/json': { schema: { $ref: '#/components/schemas/NewBell' } } } });
    expect(create?.responses['201']).toMatchObject({ content: { 'application/json': { schema: { $ref: '#/components/schemas/Bell' } } } });
    expect(components?.schemas?.['NewBell']).toMatchObject({ type: 'object', required: ['name'], additionalProperties: false });
    expect(components?.schemas?.['BellPage']).toMatchObject({
      properties: {
        data: { type: 'array', items: { $ref: '#/components/schemas/Bell' } },
        next_cursor: { type: ['string', 'null'] },
      },
    });
  });

  it('documents query parameters by name', () => {
    const parameters = buildDocument(app, FACTS).paths['/v1/bells']?.get?.parameters;
    expect(parameters).toMatchObject([
      { name: 'limit', in: 'query', required: false, schema: { type: 'integer', minimum: 1, maximum: 100, default: 20 } },
      { name: 'cursor', in: 'query', required: false },
    ]);
  });

  it('says that a body may be left out where its schema says so, and which headers a route reads besides the credentials', () => {
    const { paths } = buildDocument(app, FACTS);
    const ring = paths['/v1/bells/ring']?.post;
    expect(ring?.requestBody).toMatchObject({ required: false });
    expect(ring?.parameters).toMatchObject([{ name: 'Idempotency-Key', in: 'header', required: false, schema: { type: 'string' } }]);
    expect(paths['/v1/bells']?.post?.requestBody).toMatchObject({ required: true });
  });

  it('documents streamed bodies under the content type that the route takes', () => {
    const { requestBody } = buildDocument(app, FACTS).paths['/v1/bells/song']?.post ?? {};
    expect(Object.keys((requestBody as { content: object }).content)).toEqual(['application/x-ndjson']);
  });

  it('says of texts of requests that they have no NUL, and describes values of any kind once', () => {
    const { components } = buildDocument(app, FACTS);
    expect(components?.schemas?.['NewBell']).toMatchObject({ properties: { name: { pattern: '^[^\\u0000]*$' } } });
    expect(components?.schemas?.['Bell']).toMatchObject({ properties: { name: { type: 'string' } } });
    expect(components?.schemas?.['NewBell']).toMatchObject({ properties: { engraving: { $ref: '#/components/schemas/Json' } } });
    expect(components?.schemas?.['Json']).toMatchObject({ anyOf: expect.any(Array) });
  });

  it('documents failures as problems, all codes of one status together', () => {
    const responses = buildDocument(app, FACTS).paths['/v1/bells']?.post?.responses ?? {};
    const problem = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } };
    expect(responses['400']).toMatchObject({
      description: expect.stringMatching(/cursor_invalid.*idempotency_key_invalid/),
      content: problem,
    });
    for (const status of ['422', '401', '403', 'default']) expect(responses[status]).toMatchObject({ content: problem });
    expect(Object.keys(buildDocument(app, FACTS).paths['/v1/bells']?.get?.responses ?? {})).not.toContain('401');
  });

  it('documents what the server itself refuses, each where it can happen', () => {
    const statusesOf = (path: string, method: 'get' | 'post' | 'delete') =>
      Object.keys(buildDocument(app, FACTS).paths[path]?.[method]?.responses ?? {});
    expect(statusesOf('/v1/bells', 'post')).toEqual(['201', '400', '401', '403', '409', '413', '415', '422', '503', 'default']);
    expect(statusesOf('/v1/bells/song', 'post')).toEqual(['204', '400', '413', '415', 'default']);
    expect(statusesOf('/v1/bells/{bell_id}', 'delete')).toEqual(['204', '400', '401', '403', '503', 'default']);
    expect(statusesOf('/v1/bells', 'get')).toEqual(['200', '400', 'default']);
  });

  it('documents the headers that say how to authenticate and when to come back', () => {
    const { components, paths } = buildDocument(app, FACTS);
    const { responses } = paths['/v1/bells']?.post ?? { responses: {} };
    expect(responses['401']).toMatchObject({ headers: { 'WWW-Authenticate': { $ref: '#/components/headers/WWW-Authenticate' } } });
    expect(responses['503']).toMatchObject({ headers: { 'Retry-After': { $ref: '#/components/headers/Retry-After' } } });
    expect(components?.headers).toMatchObject({
      'WWW-Authenticate': { required: true },
      'Retry-After': { required: true, schema: { type: 'integer' } },
    });
    expect(responses['403']).not.toHaveProperty('headers');
  });

  it('documents the problems of a route that presents them in another form', () => {
    const { components, paths } = buildDocument(app, FACTS);
    const content = { 'application/problem+json': { schema: { $ref: '#/components/schemas/LoudProblem' } } };
    const operation = paths['/v1/bells/toll']?.post ?? { responses: {} };
    expect(JSON.stringify(operation)).not.toContain('x-belfry-problem');
    for (const status of ['400', '409', 'default']) expect(operation.responses[status]).toMatchObject({ content });
    expect(components?.schemas?.['LoudProblem']).toMatchObject({ properties: { shout: { type: 'string' } } });
  });

  it('documents an event stream by its events, whose data is JSON', () => {
    const { responses } = buildDocument(app, FACTS).paths['/v1/bells/listen']?.get ?? { responses: {} };
    const event = (name: string, contentSchema: object) => ({
      required: ['event', 'data'],
      properties: { event: { const: name }, data: { contentMediaType: 'application/json', contentSchema } },
    });
    const anyOf = [
      event('rang', { $ref: '#/components/schemas/Bell' }),
      event('silence', { properties: { seconds: { type: 'integer' } } }),
      event('closing', { required: ['reason'] }),
    ];
    expect(responses['200']).toMatchObject({ content: { 'text/event-stream': { schema: { anyOf } } } });
  });

  it('knows API keys and session tokens', () => {
    const document = buildDocument(app, FACTS);
    expect(Object.keys(document.components?.securitySchemes ?? {})).toEqual(['ApiKey', 'Session']);
    expect(JSON.stringify(document.components?.securitySchemes)).not.toContain('JWT');
    expect(document.paths['/v1/bells']?.post?.security).toEqual([{ ApiKey: ['bells:write'] }]);
  });
});

describe('findDocumentFaults', () => {
  it('tells what a careless route lacks', async () => {
    const careless = await createTestApp(CarelessModule);
    expect(findDocumentFaults(buildDocument(careless, FACTS))).toEqual([
      'GET /v1/careless has no summary: add @ApiOperation({ summary }).',
      'GET /v1/careless has neither a permission nor @Public.',
      'POST /v1/careless has a permission and @Public.',
      'POST /v1/bells shares the operationId bellsCreate with another route.',
    ]);
    await careless.close();
  });
});

describe('documentation routes', () => {
  it('serves the document, Swagger UI and the page that explains each error', async () => {
    expect((await app.inject('/openapi.json')).json()).toMatchObject({ openapi: '3.1.0', info: { title: 'Belfry' } });
    const page = await app.inject('/docs');
    expect(page.statusCode).toBe(200);
    expect(page.headers['content-type']).toContain('text/html');
    expect(page.headers['content-security-policy']).toContain("script-src 'self'");
    expect(page.body).not.toMatch(/<script>[^<]/);
    const errors = await app.inject('/docs/errors');
    expect(errors.statusCode).toBe(200);
    for (const code of ['validation_failed', 'database_unavailable', 'bell_cracked']) expect(errors.body).toContain(`id="${code}"`);
  });

  it('serves none of them when documentation is off', async () => {
    const quiet = await createTestApp(BellsModule, { BELFRY_HTTP_DOCS: 'off' });
    for (const url of ['/openapi.json', '/docs', '/docs/errors']) expect((await quiet.inject(url)).statusCode).toBe(404);
    await quiet.close();
  });
});
