import { Body, Controller, Param, Patch, Post } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { Returns, textSchema } from '#http';
import { CurrentSession, RequireSession, SeesContexts, type Session } from '#identity';
import { CHANGED_MESSAGES_MAX, InboxMessageNotFoundError } from '#inbox';
import { NovuFilterUnsupportedError } from '../novu.errors.js';
import { NovuRoute } from '../novu-route.js';
import { novuNotificationSchema } from './notification.js';
import { type NovuFilter, novuFilterSchema } from './notification-filter.js';
import { NovuInbox } from './novu-inbox.js';

const ID_CHARACTERS_MAX = 100;

const changedSchema = z.object({ data: novuNotificationSchema }).meta({ id: 'NovuNotificationChanged' });

type Changed = z.infer<typeof changedSchema>;

/** Which of all; the data filter is taken to be refused, not to be passed over. */
const someSchema = z
  .looseObject({
    tags: novuFilterSchema.shape.tags,
    data: z.unknown().optional().meta({ type: 'null', description: 'Filters by data are not supported.' }),
  })
  .meta({ id: 'NovuNotificationsOf' });

const seenSchema = someSchema
  .extend({
    notificationIds: z
      .array(textSchema({ max: ID_CHARACTERS_MAX }))
      .max(CHANGED_MESSAGES_MAX)
      .optional()
      .meta({ description: 'Only these; ids of nobody and of somebody else are passed over.' }),
  })
  .meta({ id: 'NovuNotificationsSeen' });

const REFUSED_BODY = { 422: 'The body is not valid, or its filter not supported.' };
const NOT_FOUND = { 404: `\`${InboxMessageNotFoundError.facts.code}\`: ${InboxMessageNotFoundError.facts.title}.` };

/** The changing side of the inbox as Novu clients call for it. Every route is idempotent. */
@ApiTags('Dialect: Novu')
@Controller('v1/inbox/notifications')
@RequireSession('inbox')
@SeesContexts()
export class ChangeNovuNotificationsController {
  constructor(private readonly inbox: NovuInbox) {}

  /** The notification was opened; it is seen, too. */
  @Patch(':id/read')
  @ApiOperation({ summary: 'Mark a notification as read, as Novu clients do' })
  @Returns(200, changedSchema, 'The notification is read.')
  @NovuRoute(NOT_FOUND)
  async read(@CurrentSession() session: Session, @Param('id') id: string): Promise<Changed> {
    return { data: await this.inbox.change(session, id, 'read') };
  }

  /** Takes the reading back; an archived notification returns to the inbox. */
  @Patch(':id/unread')
  @ApiOperation({ summary: 'Mark a notification as unread, as Novu clients do' })
  @Returns(200, changedSchema, 'The notification is unread and in the inbox.')
  @NovuRoute(NOT_FOUND)
  async unread(@CurrentSession() session: Session, @Param('id') id: string): Promise<Changed> {
    return { data: await this.inbox.change(session, id, 'unread') };
  }

  /** Puts the notification away; it is seen and read, too. */
  @Patch(':id/archive')
  @ApiOperation({ summary: 'Archive a notification as Novu clients do' })
  @Returns(200, changedSchema, 'The notification is archived.')
  @NovuRoute(NOT_FOUND)
  async archive(@CurrentSession() session: Session, @Param('id') id: string): Promise<Changed> {
    return { data: await this.inbox.change(session, id, 'archive') };
  }

  /** Takes the notification back into the inbox; it stays read. */
  @Patch(':id/unarchive')
  @ApiOperation({ summary: 'Take a notification out of the archive as Novu clients do' })
  @Returns(200, changedSchema, 'The notification is in the inbox.')
  @NovuRoute(NOT_FOUND)
  async unarchive(@CurrentSession() session: Session, @Param('id') id: string): Promise<Changed> {
    return { data: await this.inbox.change(session, id, 'unarchive') };
  }

  /** Marks those notifications as seen, or all that are not archived where the body names none. */
  @Post('seen')
  @ApiOperation({ summary: 'Mark notifications as seen, as Novu clients do' })
  @Returns(204, null, 'They are seen.')
  @NovuRoute(REFUSED_BODY)
  async seen(@CurrentSession() session: Session, @Body({ schema: seenSchema }) body: z.infer<typeof seenSchema>): Promise<void> {
    const { notificationIds } = body;
    const tags = tagsOf(body);
    if (notificationIds === undefined) await this.inbox.changeAll(session, 'seen', tags);
    else await this.inbox.see(session, notificationIds);
  }

  /** Marks every notification as read that is not archived. */
  @Post('read')
  @ApiOperation({ summary: 'Mark all notifications as read, as Novu clients do' })
  @Returns(204, null, 'They are read.')
  @NovuRoute(REFUSED_BODY)
  async readAll(@CurrentSession() session: Session, @Body({ schema: someSchema }) body: z.infer<typeof someSchema>): Promise<void> {
    await this.inbox.changeAll(session, 'read', tagsOf(body));
  }

  /** Archives every notification. */
  @Post('archive')
  @ApiOperation({ summary: 'Archive all notifications as Novu clients do' })
  @Returns(204, null, 'They are archived.')
  @NovuRoute(REFUSED_BODY)
  async archiveAll(@CurrentSession() session: Session, @Body({ schema: someSchema }) body: z.infer<typeof someSchema>): Promise<void> {
    await this.inbox.changeAll(session, 'archive', tagsOf(body));
  }

  /** Archives every notification that is read. */
  @Post('read-archive')
  @ApiOperation({ summary: 'Archive all read notifications as Novu clients do' })
  @Returns(204, null, 'Those that were read are archived.')
  @NovuRoute(REFUSED_BODY)
  async archiveRead(@CurrentSession() session: Session, @Body({ schema: someSchema }) body: z.infer<typeof someSchema>): Promise<void> {
    await this.inbox.changeAll(session, 'archive-read', tagsOf(body));
  }
}

/** @throws NovuFilterUnsupportedError */
function tagsOf({ tags, data }: z.infer<typeof someSchema>): NovuFilter['tags'] {
  if (data !== undefined && data !== null) throw new NovuFilterUnsupportedError('data');
  return tags;
}
