import { Controller, Get, Query } from '@nestjs/common';
import { decodeCursor, encodeCursor, pageQuerySchema, pageSchema, Returns } from '#http';
import { CurrentSubscriber, RequireSession, type SessionSubscriber } from '#identity';
import { z } from 'zod';
import { inboxMessageSchema, unreadCountSchema } from '../message.js';
import type { UnreadCount } from '../message.store.js';
import { ListMessages } from './list-messages.js';

const flag = z.enum(['true', 'false']).transform((text) => text === 'true');

const listQuerySchema = pageQuerySchema.extend({
  unread: flag.optional().meta({ description: 'true: only unread messages; false: only read ones.' }),
  seen: flag.optional().meta({ description: 'true: only seen messages; false: only unseen ones.' }),
  archived: flag.default(false).meta({ description: 'true: only archived messages. Without it archived messages are left out.' }),
});

const inboxPageSchema = pageSchema(inboxMessageSchema, 'InboxMessagePage')
  .extend({ unread: unreadCountSchema.meta({ description: 'The unread count at the same instant.' }) })
  .meta({ id: 'InboxMessagePage' });

const cursorSchema = z.strictObject({ before: z.uuid() });

/** The reading side of the inbox API, by session token. */
@Controller('v1/inbox')
export class ListMessagesController {
  constructor(private readonly listMessages: ListMessages) {}

  /** The messages of the session's subscriber, newest first. Expired messages are left out. */
  @Get('messages')
  @RequireSession()
  @Returns(200, inboxPageSchema, 'One page of the inbox with its unread count.')
  async list(
    @CurrentSubscriber() subscriber: SessionSubscriber,
    @Query({ schema: listQuerySchema }) query: z.output<typeof listQuerySchema>,
  ): Promise<z.infer<typeof inboxPageSchema>> {
    const { limit, cursor, ...filter } = query;
    const before = cursor === undefined ? undefined : decodeCursor(cursor, cursorSchema).before;
    const { messages, nextBefore, unread } = await this.listMessages.list(subscriber, { filter, before, limit });
    return {
      data: [...messages],
      has_more: nextBefore !== undefined,
      next_cursor: nextBefore === undefined ? null : encodeCursor({ before: nextBefore }),
      unread: { ...unread },
    };
  }

  /** How many messages are unread: the number beside the bell. */
  @Get('unread-count')
  @RequireSession()
  @Returns(200, unreadCountSchema, 'The number of unread messages, counted up to 99.')
  async countUnread(@CurrentSubscriber() subscriber: SessionSubscriber): Promise<UnreadCount> {
    return this.listMessages.countUnread(subscriber);
  }
}
