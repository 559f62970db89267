import { Controller, Get } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { Returns } from '#http';
import { CurrentSubscriber, RequireSession, type SessionSubscriber } from '#identity';
import { unreadCountSchema } from '../message.js';
import { MessageStore, type UnreadCount } from '../message.store.js';

/** The number beside the bell, by session token. */
@ApiTags('inbox')
@Controller('v1/inbox/unread-count')
export class CountUnreadController {
  constructor(private readonly messages: MessageStore) {}

  @Get()
  @ApiOperation({ summary: 'Count the unread messages of an inbox' })
  @RequireSession('inbox')
  @Returns(200, unreadCountSchema, 'The number of unread messages, counted up to 99.')
  async handle(@CurrentSubscriber() subscriber: SessionSubscriber): Promise<UnreadCount> {
    return this.messages.countUnread(subscriber);
  }
}
