import { Controller, Get, Post } from '@nestjs/common';
import { describe, expect, it } from 'vitest';
import { BrowserFacing } from './browser-facing.js';
import { browserRoutesOf } from './browser-routes.js';

@Controller('v1/mixed')
class MixedController {
  @Get()
  list(): void {}

  @BrowserFacing()
  @Post(':id/read')
  read(): void {}
}

@BrowserFacing()
@Controller('v1/open')
class OpenController {
  @Get()
  list(): void {}

  @Post(['a.b', 'c'])
  several(): void {}
}

const matches = (controller: new () => object, path: string) =>
  browserRoutesOf(controller)
    .filter((route) => route.pattern.test(path))
    .flatMap((route) => route.methods);

describe('browserRoutesOf', () => {
  it('finds marked methods only', () => {
    expect(matches(MixedController, '/v1/mixed')).toEqual([]);
    expect(matches(MixedController, '/v1/mixed/7/read')).toEqual(['POST']);
  });

  it('takes one segment for a parameter', () => {
    for (const path of ['/v1/mixed//read', '/v1/mixed/7/8/read', '/v1/mixed/7/read/more', '/x/v1/mixed/7/read']) {
      expect(matches(MixedController, path)).toEqual([]);
    }
  });

  it('finds all routes of a marked controller', () => {
    expect(matches(OpenController, '/v1/open')).toEqual(['GET']);
    expect(matches(OpenController, '/v1/open/c')).toEqual(['POST']);
    expect(matches(OpenController, '/v1/open/a.b')).toEqual(['POST']);
    expect(matches(OpenController, '/v1/open/aXb')).toEqual([]);
  });
});
