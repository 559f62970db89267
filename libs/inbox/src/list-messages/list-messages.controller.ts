import { Controller, Get, Query } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { CursorInvalidError, listCursor, pageQuerySchema, pageSchema, Returns, Throws } from '#http';
import { CurrentSubscriber, RequireSession, type SessionSubscriber } from '#identity';
import { z } from 'zod';
import { inboxMessageSchema, unreadCountSchema } from '../message.js';
import { ListMessages } from './list-messages.js';

const flag = z.enum(['true', 'false']).transform((text) => text === 'true');

const cursors = listCursor('inbox-messages');

const listQuerySchema = pageQuerySchema(cursors).extend({
  unread: flag.optional().meta({ description: 'true: only unread messages; false: only read ones.' }),
  seen: flag.optional().meta({ description: 'true: only seen messages; false: only unseen ones.' }),
  archived: flag.default(false).meta({ description: 'true: only archived messages. Without it archived messages are left out.' }),
});

const inboxPageSchema = pageSchema(inboxMessageSchema, 'InboxMessagePage')
  .extend({ unread: unreadCountSchema.meta({ description: 'The unread count at the same instant.' }) })
  .meta({ id: 'InboxMessagePage' });

/** Pages of the inbox, by session token. */
@ApiTags('inbox')
@Controller('v1/inbox')
export class ListMessagesController {
  constructor(private readonly listMessages: ListMessages) {}

  /** The messages of the session's subscriber, newest first. Expired messages are left out. */
  @Get('messages')
  @ApiOperation({ summary: 'List the messages of an inbox' })
  @RequireSession('inbox')
  @Returns(200, inboxPageSchema, 'One page of the inbox with its unread count.')
  @Throws(CursorInvalidError)
  async list(
    @CurrentSubscriber() subscriber: SessionSubscriber,
    @Query({ schema: listQuerySchema }) query: z.output<typeof listQuerySchema>,
  ): Promise<z.infer<typeof inboxPageSchema>> {
    const { limit, cursor, ...filter } = query;
    const before = cursors.decode(cursor);
    const { messages, nextBefore, unread } = await this.listMessages.list(subscriber, { filter, before, limit });
    return {
      data: [...messages],
      has_more: nextBefore !== undefined,
      next_cursor: nextBefore === undefined ? null : cursors.encode(nextBefore),
      unread: { ...unread },
    };
  }
}
