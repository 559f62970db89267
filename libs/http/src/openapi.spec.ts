import { Body, Controller, Delete, Get, Module, Param, Post, Query } from '@nestjs/common';
import { ApiOperation, ApiSecurity } from '@nestjs/swagger';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { CursorInvalidError, IdempotencyKeyInvalidError, IdempotencyKeyReusedError } from './http.errors.js';
import { buildDocument, findDocumentFaults } from './openapi.js';
import { pageQuerySchema, type PageQuery, pageSchema } from './page.js';
import { Returns } from './returns.js';
import { Public, Throws } from './routes.js';
import { createTestApp } from './test-app.js';
import { textSchema } from './text-schema.js';

const bellSchema = z.object({ name: z.string(), tone: z.enum(['low', 'high']) }).meta({ id: 'Bell' });
const newBellSchema = z
  .strictObject({ name: textSchema({ max: 20 }), tone: z.enum(['low', 'high']).default('low') })
  .meta({ id: 'NewBell' });

@Controller('v1/bells')
class BellsController {
  @Post()
  @ApiOperation({ summary: 'Make a bell' })
  @ApiSecurity('ApiKey', ['bells:write'])
  @Returns(201, bellSchema, 'The bell.')
  @Throws(CursorInvalidError, IdempotencyKeyInvalidError, IdempotencyKeyReusedError)
  create(@Body({ schema: newBellSchema }) body: z.infer<typeof newBellSchema>) {
    return body;
  }

  @Get()
  @ApiOperation({ summary: 'List bells' })
  @Public('test')
  @Returns(200, pageSchema(bellSchema, 'BellPage'), 'One page.')
  list(@Query({ schema: pageQuerySchema }) query: PageQuery) {
    return query;
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
    expect(Object.keys(document.paths).sort()).toEqual(['/health/live', '/health/ready', '/metrics', '/v1/bells', '/v1/bells/{bell_id}']);
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
      { name: 'limit', in: 'query', required: false },
      { name: 'cursor', in: 'query', required: false },
    ]);
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

  it('knows API keys and session tokens', () => {
    const document = buildDocument(app, FACTS);
    expect(Object.keys(document.components?.securitySchemes ?? {})).toEqual(['ApiKey', 'Session']);
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
    expect(errors.body).toContain('id="idempotency_key_reused"');
  });

  it('serves none of them when documentation is off', async () => {
    const quiet = await createTestApp(BellsModule, { BELFRY_HTTP_DOCS: 'off' });
    for (const url of ['/openapi.json', '/docs', '/docs/errors']) expect((await quiet.inject(url)).statusCode).toBe(404);
    await quiet.close();
  });
});
