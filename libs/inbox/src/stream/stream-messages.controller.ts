import { Controller, Get, Headers, Query, Res } from '@nestjs/common';
import { ApiHeader, ApiOperation, ApiProduces, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { BelfryConfig } from '#config';
import { openEventStream, Returns, textSchema, Throws } from '#http';
import { CurrentSession, RequireSession, type Session, SessionExpiresAt, TakesStreamTicket } from '#identity';
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

const LAST_EVENT_ID_LENGTH_MAX = 100;

/** `ticket` is read by the guard. */
const querySchema = z.object({
  last_event_id: textSchema({ max: LAST_EVENT_ID_LENGTH_MAX })
    .optional()
    .meta({ description: 'As the header Last-Event-ID, for pages that open a new EventSource with a new ticket.' }),
});

/** The live stream of an inbox: by session token in the Authorization header (fetch), or by a single-use ticket in the URL (EventSource). */
@ApiTags('inbox')
@Controller('v1/inbox/stream')
export class StreamMessagesController {
  private readonly heartbeatMs: number;

  constructor(
    private readonly streamMessages: StreamMessages,
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
  @TakesStreamTicket()
  @Returns(200, streamSchema, 'The stream. It ends when the session token expires: refresh the token and reconnect with Last-Event-ID.')
  @Throws(InboxStreamLimitError, InboxStreamCapacityError)
  async stream(
    @CurrentSession() session: Session,
    @SessionExpiresAt() until: Date,
    @Headers('last-event-id') lastEventId: string | undefined,
    @Query({ schema: querySchema }) query: z.infer<typeof querySchema>,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    await this.streamMessages.connect({ session, until, lastEventId: lastEventId ?? query.last_event_id }, () =>
      openEventStream(reply, { heartbeatMs: this.heartbeatMs }),
    );
  }
}
