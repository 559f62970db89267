import { Controller, Get, Res } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { BelfryConfig } from '#config';
import { assertHandshake, openWebSocket, TakesWebSockets, Throws, UpgradeRequiredError, WebSocketHandshakeInvalidError } from '#http';
import { CurrentSession, RequireSession, SeesContexts, type Session, SessionExpiresAt, TakesTokenInQuery } from '#identity';
import { inboxConfig, InboxStreamCapacityError, InboxStreamLimitError } from '#inbox';
import { ConnectNovu } from './connect-novu.js';

/**
 * The live connection of `@novu/js` in its mode without socket.io (`socketType: 'cloud'`). The client puts the token of its session into
 * the query: nothing of it is logged or traced, and it is no URL that a browser keeps or sends on.
 */
@ApiTags('Dialect: Novu')
@Controller('v1/inbox/socket')
@RequireSession('inbox')
@SeesContexts()
export class ConnectNovuController {
  private readonly heartbeatMs: number;

  constructor(
    private readonly connectNovu: ConnectNovu,
    config: BelfryConfig,
  ) {
    this.heartbeatMs = config.of(inboxConfig).streamHeartbeatMs;
  }

  @Get()
  @TakesTokenInQuery()
  @ApiOperation({ summary: 'Open the live connection of a Novu client (WebSocket)' })
  @TakesWebSockets('The connection: docs/identity/dialects.md lists its messages.')
  @Throws(UpgradeRequiredError, WebSocketHandshakeInvalidError, InboxStreamLimitError, InboxStreamCapacityError)
  async connect(@CurrentSession() session: Session, @SessionExpiresAt() until: Date, @Res() reply: FastifyReply): Promise<void> {
    assertHandshake(reply);
    const open = () => openWebSocket(reply, { heartbeatMs: this.heartbeatMs });
    await this.connectNovu.connect({ session, until, open });
  }
}
