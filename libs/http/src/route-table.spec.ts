import { Controller, Delete, Get, Module, Patch, Post } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HidesMethods } from './route-config.js';
import { createTestApp } from './test-app.js';

@Controller('v1/bells')
class BellsController {
  @Post('ring')
  ring() {
    return {};
  }

  @Get(':bell_id')
  read() {
    return {};
  }

  @Delete(':bell_id')
  remove() {
    return {};
  }

  @Get(':bell_id/tones')
  tones() {
    return {};
  }

  @Patch(':bell_id/tones')
  @HidesMethods()
  retune() {
    return {};
  }
}

@Module({ controllers: [BellsController] })
class BellsModule {}

let app: NestFastifyApplication;

beforeAll(async () => {
  app = await createTestApp(BellsModule);
});

afterAll(() => app.close());

describe('the Allow header', () => {
  it.each([
    ['/v1/bells/ring', 'POST'],
    ['/v1/bells/tenor', 'DELETE, GET, HEAD'],
    ['/v1/bells/tenor/?x=1', 'DELETE, GET, HEAD'],
    ['/v1/bells/ring/tones', 'GET, HEAD'],
  ])('of %s names %s: the methods of the closest path that do not hide', async (url, allowed) => {
    const answer = await app.inject({ method: 'PUT', url });
    expect(answer.statusCode).toBe(405);
    expect(answer.headers['allow']).toBe(allowed);
  });
});
