import { Controller, Get, Query, Req, Res } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { BelfryConfig } from '#config';
import {
  assertHandshake,
  openWebSocket,
  Public,
  TakesWebSockets,
  textSchema,
  UpgradeRequiredError,
  WebSocketHandshakeInvalidError,
} from '#http';
import { BrowserFacing } from '#identity';
import { inboxConfig, InboxStreamCapacityError, InboxStreamLimitError } from '#inbox';
import { countMetric } from '#telemetry';
import { EXTERNAL_ID_BYTES_MAX } from '#subscribers';
import { z } from 'zod';
import { AdmitUser } from '../admit/admit-user.js';
import { repairQueryHash } from '../admit/socket-credentials.js';
import { ThrowsRefusals } from '../admit/user-request.js';
import { ConnectUser } from './connect-user.js';

const KEY_LENGTH_MAX = 255;
const HASH_LENGTH_MAX = 256;

/** Names of the older and of the newer client. What is wrong with a hash is the verifier's verdict. */
const querySchema = z.object({
  envId: textSchema({ max: KEY_LENGTH_MAX }).meta({ description: 'The public key `pk_…` of the environment.' }),
  userId: textSchema({ min: 1, max: EXTERNAL_ID_BYTES_MAX }).meta({ description: 'The subscriber id.' }),
  userIdHash: textSchema({ max: HASH_LENGTH_MAX })
    .optional()
    .meta({ description: 'HMAC-SHA256 of userId under an identity secret, base64.' }),
  hashedUserId: textSchema({ max: HASH_LENGTH_MAX }).optional().meta({ description: 'In place of userIdHash.' }),
});

/**
 * The WebSocket of NotificationAPI's clients, which put the hash into the query: nothing of it is logged or traced, and it is no URL that a
 * browser keeps or sends on.
 */
@ApiTags('NotificationAPI dialect')
@Controller()
export class ConnectUserController {
  private readonly heartbeatMs: number;

  constructor(
    private readonly admitUser: AdmitUser,
    private readonly connectUser: ConnectUser,
    config: BelfryConfig,
  ) {
    this.heartbeatMs = config.of(inboxConfig).streamHeartbeatMs;
    // From the start, so that the first one is seen as an increase.
    countMetric('proofsRepaired', 0);
  }

  @Get()
  @BrowserFacing()
  @Public('The hash in the query is the permission: browsers cannot send headers with a WebSocket.')
  @ApiOperation({ summary: 'Open the live connection of a user (WebSocket)' })
  @TakesWebSockets('The connection: docs/identity/dialects.md lists its messages.')
  @ThrowsRefusals(UpgradeRequiredError, WebSocketHandshakeInvalidError, InboxStreamLimitError, InboxStreamCapacityError)
  async connect(
    @Query({ schema: querySchema }) query: z.infer<typeof querySchema>,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    assertHandshake(reply);
    const { envId: clientId, userId, userIdHash, hashedUserId } = query;
    const { hash, isRepaired } = repairQueryHash(userIdHash ?? hashedUserId ?? '');
    if (isRepaired) countMetric('proofsRepaired', 1);
    const claim = { clientId, userId, hash, surface: 'inbox' } as const;
    await this.connectUser.connect({
      user: await this.admitUser.run(claim, { request, reply }),
      open: () => openWebSocket(reply, { heartbeatMs: this.heartbeatMs }),
      judgeAgain: () => this.admitUser.judge(claim, { request, reply }),
    });
  }
}
