import { Controller, Get, Req, Res } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Returns } from '#http';
import { VapidKeys } from '#push';
import { z } from 'zod';
import { AdmitUser } from '../admit/admit-user.js';
import { readUserProof, ThrowsUserRefusals, USER_PATH, UserRoute } from '../admit/user-request.js';

const metadataSchema = z
  .object({
    userAccountMetadata: z.object({
      logo: z.string().meta({ description: 'Empty: environments have no logo.' }),
      environmentVapidPublicKey: z.string().meta({ description: '`applicationServerKey` of PushManager.subscribe().' }),
      hasWebPushEnabled: z.boolean(),
    }),
  })
  .meta({ id: 'NotificationApiAccountMetadata' });

/** What a client has to know of the environment before it can ask for push messages. */
@ApiTags('NotificationAPI dialect')
@UserRoute()
@Controller(`${USER_PATH}/account_metadata`)
export class AccountMetadataController {
  constructor(
    private readonly admitUser: AdmitUser,
    private readonly vapidKeys: VapidKeys,
  ) {}

  @Get()
  @ApiOperation({ summary: 'Read what a client has to know of the environment' })
  @Returns(200, metadataSchema, 'The VAPID key of the environment.')
  @ThrowsUserRefusals()
  async read(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<z.infer<typeof metadataSchema>> {
    const { environmentId } = await this.admitUser.run({ ...readUserProof(request), surface: 'push' }, { request, reply });
    const { publicKey } = await this.vapidKeys.readLive(environmentId);
    return {
      userAccountMetadata: { logo: '', environmentVapidPublicKey: publicKey.toString('base64url'), hasWebPushEnabled: true },
    };
  }
}
