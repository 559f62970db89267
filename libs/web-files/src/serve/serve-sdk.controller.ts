import { Controller, Get, Param, Req, Res } from '@nestjs/common';
import { ApiOperation, ApiProduces, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { Public, Returns, Throws } from '#http';
import { BrowserFacing } from '#identity';
import { WebFileNotFoundError } from '../web-files.errors.js';
import { sendFile } from './send-file.js';
import { SDK_FILES, WebFiles } from './web-files.js';

const MEDIA_TYPE = 'text/javascript';

/** Scripts are looked at again after five minutes, while the old one still serves. */
const SDK_CACHE = 'public, max-age=300, stale-while-revalidate=86400';

/** Browsers ask for a worker at least once a day in any case; a mended one should be there at the next visit. */
const WORKER_CACHE = 'no-cache';

/** The browser client, for the pages of every site that uses it. */
@ApiTags('web client')
@Controller('sdk/v1')
export class ServeSdkController {
  constructor(private readonly files: WebFiles) {}

  @Get(':file')
  @BrowserFacing()
  @Public('The client is public: every visitor of a page gets it.')
  @ApiOperation({
    summary: 'Load the browser client',
    description: `${SDK_FILES.join(', ')}: an ES module and a classic service worker. Served with BELFRY_WEB_CLIENT=true.`,
  })
  @ApiProduces(MEDIA_TYPE)
  @Returns(200, z.string(), 'The script.')
  @Throws(WebFileNotFoundError)
  serve(@Param('file') name: string, @Req() request: FastifyRequest, @Res() reply: FastifyReply): void {
    const isWorker = name === 'belfry-worker.js';
    sendFile(request, reply, this.files.find(name, SDK_FILES), {
      cacheControl: isWorker ? WORKER_CACHE : SDK_CACHE,
      headers: {
        // A site on another origin loads the client as a module and the worker by importScripts.
        'cross-origin-resource-policy': 'cross-origin',
        ...(isWorker ? { 'service-worker-allowed': '/' } : {}),
      },
    });
  }
}
