import { Controller, Get, Query, Req, Res } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Public, Returns, textSchema, Throws } from '#http';
import { admitOrigin, BrowserFacing, OriginNotAllowedError, SessionExpiredError, SessionInvalidError } from '#identity';
import { z } from 'zod';
import { PushEnvironmentNotFoundError } from '../push.errors.js';
import { ReadVapidKey } from './read-vapid-key.js';

const PUBLIC_KEY_CHARACTERS_MAX = 255;

const querySchema = z.strictObject({
  public_key: textSchema({ max: PUBLIC_KEY_CHARACTERS_MAX })
    .optional()
    .meta({ description: 'The public key `pk_…` of the environment; not needed with a session token.' }),
});

const vapidKeySchema = z
  .object({
    public_key: z
      .string()
      .meta({ description: '`applicationServerKey` of PushManager.subscribe(): 65 bytes in base64url, without padding.' }),
  })
  .meta({ id: 'VapidKey' });

/** The key that browsers subscribe with. */
@ApiTags('push')
@Controller('v1/push/vapid-key')
export class ReadVapidKeyController {
  constructor(private readonly readVapidKey: ReadVapidKey) {}

  @Get()
  @BrowserFacing()
  @Public('The key is public: every subscription shows it to the push service.')
  @ApiOperation({
    summary: 'Read the VAPID key',
    description: 'By public key, or by session token. The key of an environment stays the same.',
  })
  @Returns(200, vapidKeySchema, "The environment's public VAPID key.")
  @Throws(PushEnvironmentNotFoundError, OriginNotAllowedError, SessionInvalidError, SessionExpiredError)
  async read(
    @Query({ schema: querySchema }) query: z.infer<typeof querySchema>,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<z.infer<typeof vapidKeySchema>> {
    const publicKey = await this.readVapidKey.read({
      publicKey: query.public_key,
      authorization: request.headers.authorization,
      admitOrigin: (environment) => admitOrigin(environment, request, reply),
    });
    return { public_key: publicKey.toString('base64url') };
  }
}
