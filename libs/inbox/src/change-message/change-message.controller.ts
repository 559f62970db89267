import { Controller, Param, Post } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { Returns, Throws } from '#http';
import { CurrentSubscriber, RequireSession, type SessionSubscriber } from '#identity';
import { z } from 'zod';
import { inboxMessageSchema, type InboxMessage } from '../message.js';
import { InboxMessageNotFoundError } from '../inbox.errors.js';
import { ChangeMessage } from './change-message.js';

const changedSchema = z
  .object({ changed: z.int().min(0).meta({ description: 'Messages whose state was changed by this call.' }) })
  .meta({ id: 'InboxMessagesChanged' });

/** The changing side of the inbox API, by session token. Every route is idempotent: a repeat answers the same and changes nothing. */
@ApiTags('inbox')
@Controller('v1/inbox/messages')
export class ChangeMessageController {
  constructor(private readonly changeMessage: ChangeMessage) {}

  /** Marks every message as read that is not archived. */
  @Post('read-all')
  @ApiOperation({ summary: 'Mark all messages as read' })
  @RequireSession('inbox')
  @Returns(200, changedSchema, 'All messages that are not archived are read.')
  async readAll(@CurrentSubscriber() subscriber: SessionSubscriber): Promise<z.infer<typeof changedSchema>> {
    return { changed: await this.changeMessage.changeAll(subscriber, 'read') };
  }

  /** Marks every message as seen that is not archived. */
  @Post('seen-all')
  @ApiOperation({ summary: 'Mark all messages as seen' })
  @RequireSession('inbox')
  @Returns(200, changedSchema, 'All messages that are not archived are seen.')
  async seenAll(@CurrentSubscriber() subscriber: SessionSubscriber): Promise<z.infer<typeof changedSchema>> {
    return { changed: await this.changeMessage.changeAll(subscriber, 'seen') };
  }

  /** The message came into view. */
  @Post(':id/seen')
  @ApiOperation({ summary: 'Mark a message as seen' })
  @RequireSession('inbox')
  @Returns(200, inboxMessageSchema, 'The message is seen.')
  @Throws(InboxMessageNotFoundError)
  async seen(@CurrentSubscriber() subscriber: SessionSubscriber, @Param('id') id: string): Promise<InboxMessage> {
    return this.changeMessage.change(subscriber, id, 'seen');
  }

  /** The message was opened; it is seen, too. */
  @Post(':id/read')
  @ApiOperation({ summary: 'Mark a message as read' })
  @RequireSession('inbox')
  @Returns(200, inboxMessageSchema, 'The message is read.')
  @Throws(InboxMessageNotFoundError)
  async read(@CurrentSubscriber() subscriber: SessionSubscriber, @Param('id') id: string): Promise<InboxMessage> {
    return this.changeMessage.change(subscriber, id, 'read');
  }

  /** Takes the reading back; an archived message returns to the inbox. */
  @Post(':id/unread')
  @ApiOperation({ summary: 'Mark a message as unread' })
  @RequireSession('inbox')
  @Returns(200, inboxMessageSchema, 'The message is unread and in the inbox.')
  @Throws(InboxMessageNotFoundError)
  async unread(@CurrentSubscriber() subscriber: SessionSubscriber, @Param('id') id: string): Promise<InboxMessage> {
    return this.changeMessage.change(subscriber, id, 'unread');
  }

  /** Puts the message away; it is seen and read, too. */
  @Post(':id/archive')
  @ApiOperation({ summary: 'Archive a message' })
  @RequireSession('inbox')
  @Returns(200, inboxMessageSchema, 'The message is archived.')
  @Throws(InboxMessageNotFoundError)
  async archive(@CurrentSubscriber() subscriber: SessionSubscriber, @Param('id') id: string): Promise<InboxMessage> {
    return this.changeMessage.change(subscriber, id, 'archive');
  }

  /** Takes the message back into the inbox; it stays read. */
  @Post(':id/unarchive')
  @ApiOperation({ summary: 'Take a message out of the archive' })
  @RequireSession('inbox')
  @Returns(200, inboxMessageSchema, 'The message is in the inbox.')
  @Throws(InboxMessageNotFoundError)
  async unarchive(@CurrentSubscriber() subscriber: SessionSubscriber, @Param('id') id: string): Promise<InboxMessage> {
    return this.changeMessage.change(subscriber, id, 'unarchive');
  }
}
