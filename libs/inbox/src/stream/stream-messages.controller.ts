import { Controller, Get, Headers, Res } from '@nestjs/common';
import { ApiHeader, ApiOperation, ApiProduces, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { BelfryConfig } from '#config';
import { openEventStream, Returns, Throws } from '#http';
import { CurrentSubscriber, RequireSession, SessionTokens, type SessionSubscriber } from '#identity';
import { bearerTokenOf } from '#tenancy';
import { z } from 'zod';
import { inboxConfig } from '../inbox.config.js';
import { InboxStreamCapacityError, InboxStreamLimitError } from '../inbox.errors.js';
import { StreamMessages } from './stream-messages.js';

const streamSchema = z.string().meta({
  description:
    'Server-sent events (text/event-stream). `message.delivered` and `message.updated` carry a whole InboxMessage: merge by its id, because ' +
    'after a reconnect a message may come twice. `unread_count` carries an InboxUnreadCount. `resync` says why the list has to be read again: ' +
    '`all_changed`, `too_much_missed` or `position_invalid`. `closing` comes before an orderly end.',
});

/** The live stream of an inbox, by session token in the Authorization header: for clients that read streams with fetch. */
@ApiTags('inbox')
@Controller('v1/inbox/stream')
export class StreamMessagesController {
  private readonly heartbeatMs: number;

  constructor(
    private readonly streamMessages: StreamMessages,
    private readonly sessionTokens: SessionTokens,
    config: BelfryConfig,
  ) {
    this.heartbeatMs = config.of(inboxConfig).streamHeartbeatMs;
  }

  @Get()
  @ApiOperation({ summary: 'Stream the messages of an inbox as they come' })
  @ApiProduces('text/event-stream')
  @ApiHeader({
    name: 'Last-Event-ID',
    required: false,
    description: 'Id of the last event that was received; what came since is sent first.',
  })
  @RequireSession('inbox')
  @Returns(200, streamSchema, 'The stream. It ends when the session token expires: refresh the token and reconnect with Last-Event-ID.')
  @Throws(InboxStreamLimitError, InboxStreamCapacityError)
  async stream(
    @CurrentSubscriber() subscriber: SessionSubscriber,
    @Headers('authorization') authorization: string,
    @Headers('last-event-id') lastEventId: string | undefined,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const until = await this.sessionTokens.expiryOf(bearerTokenOf(authorization) ?? '');
    await this.streamMessages.connect({ owner: subscriber, until, lastEventId }, () =>
      openEventStream(reply, { heartbeatMs: this.heartbeatMs }),
    );
  }
}
