import { Controller, Get, Headers, Query, Res } from '@nestjs/common';
import { ApiHeader, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { BelfryConfig } from '#config';
import { openEventStream, ReturnsEventStream, textSchema, Throws } from '#http';
import { CurrentSession, RequireSession, type Session, SessionExpiresAt, TakesStreamTicket } from '#identity';
import { z } from 'zod';
import { inboxConfig } from '../inbox.config.js';
import { InboxStreamCapacityError, InboxStreamLimitError } from '../inbox.errors.js';
import { inboxMessageSchema, unreadCountSchema } from '../message.js';
import { RESYNC_REASONS } from './message-events.js';
import { StreamMessages } from './stream-messages.js';

const STREAM_EVENTS = {
  'message.delivered': inboxMessageSchema,
  'message.updated': inboxMessageSchema,
  unread_count: unreadCountSchema,
  resync: z.object({ reason: z.enum(RESYNC_REASONS) }),
};

const STREAM_DESCRIPTION =
  'The stream. `message.delivered` and `message.updated` carry a whole message: merge by its id, because after a reconnect a message may come ' +
  'twice. `resync` says why the list has to be read again. The stream ends when the session token expires: refresh the token and reconnect ' +
  'with Last-Event-ID.';

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
  @ApiHeader({
    name: 'Last-Event-ID',
    required: false,
    description: 'Id of the last event that was received; what came since is sent first.',
  })
  @RequireSession('inbox')
  @TakesStreamTicket()
  @ReturnsEventStream(STREAM_EVENTS, STREAM_DESCRIPTION)
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
