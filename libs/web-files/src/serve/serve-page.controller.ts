import { Controller, Get, Inject, Optional, Param, Req, Res } from '@nestjs/common';
import { ApiOperation, ApiProduces, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { Public, Returns, Throws } from '#http';
import { DemoLogin } from '../demo-login/demo-login.js';
import { WebFileNotFoundError } from '../web-files.errors.js';
import { sendFile } from './send-file.js';
import { PAGE_FILES, WebFiles } from './web-files.js';

/** The page and its parts belong together: each visit asks whether they are still the same. */
const PAGE_CACHE = 'no-cache';

const WHY_PUBLIC = 'The page shows nothing before a session was opened with a proof.';

const pageOptionsSchema = z
  .object({
    demo: z
      .object({ public_key: z.string(), subscriber_id: z.string() })
      .nullable()
      .meta({ description: 'The environment that the demo may sign for and somebody in it; null outside of the demo.' }),
  })
  .meta({ id: 'InboxPageOptions' });

/** The inbox page: what a site would build with the client, and what the demo shows. */
@ApiTags('web client')
@Controller('inbox')
export class ServePageController {
  constructor(
    private readonly files: WebFiles,
    @Optional() @Inject(DemoLogin) private readonly demoLogin?: DemoLogin,
  ) {}

  @Get()
  @Public(WHY_PUBLIC)
  @ApiOperation({ summary: 'Open the inbox page' })
  @ApiProduces('text/html')
  @Returns(200, z.string(), 'The page. Served with BELFRY_WEB_CLIENT=true.')
  @Throws(WebFileNotFoundError)
  page(@Req() request: FastifyRequest, @Res() reply: FastifyReply): void {
    sendFile(request, reply, this.files.find('inbox.html', PAGE_FILES), { cacheControl: PAGE_CACHE });
  }

  @Get('options')
  @Public(WHY_PUBLIC)
  @ApiOperation({ summary: 'Read what the inbox page offers' })
  @Returns(200, pageOptionsSchema, 'Whether the login of the demo is there.')
  options(): z.infer<typeof pageOptionsSchema> {
    const { publicKey, subscriberId } = this.demoLogin?.access ?? {};
    return { demo: publicKey === undefined || subscriberId === undefined ? null : { public_key: publicKey, subscriber_id: subscriberId } };
  }

  @Get(':file')
  @Public(WHY_PUBLIC)
  @ApiOperation({ summary: 'Load a part of the inbox page' })
  @Returns(200, z.string(), 'The script, the style sheet or the picture.')
  @Throws(WebFileNotFoundError)
  part(@Param('file') name: string, @Req() request: FastifyRequest, @Res() reply: FastifyReply): void {
    sendFile(request, reply, this.files.find(name, PAGE_FILES), { cacheControl: PAGE_CACHE });
  }
}
