import { Body, Controller, Get, Patch, Query, Req, Res } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { documentedAs, JsonBodyAs, Returns, textSchema } from '#http';
import { InboxMessageNotFoundError } from '#inbox';
import { z } from 'zod';
import { AdmitUser } from '../admit/admit-user.js';
import { readUserProof, ThrowsUserRefusals, USER_PATH, UserRoute } from '../admit/user-request.js';
import { notificationSchema } from './notification.js';
import { NOTIFICATIONS_PER_PAGE_MAX, TRACKING_IDS_MAX, UserNotifications } from './user-notifications.js';

const TRACKING_ID_LENGTH_MAX = 100;
const COUNT_PATTERN = /^[1-9]\d{0,5}$/;

/** A space is a plus sign that was not escaped: an offset. */
const instant = z
  .string()
  .max(40)
  .transform((text) => text.replace(' ', '+'))
  .pipe(z.iso.datetime({ offset: true }))
  .transform((text) => new Date(text));

const listQuerySchema = z.object({
  count: documentedAs(
    z.string().regex(COUNT_PATTERN, 'must be a whole number from 1').transform(Number).default(NOTIFICATIONS_PER_PAGE_MAX),
    {
      type: 'integer',
      minimum: 1,
      maximum: 999_999,
      description: `Notifications of one page; more than ${NOTIFICATIONS_PER_PAGE_MAX} are never sent at once.`,
    },
  ),
  before: documentedAs(z.union([z.literal('').transform(() => undefined), instant]).optional(), {
    type: 'string',
    format: 'date-time',
    description: 'The date of the oldest notification of the previous page; that one comes once more.',
  }),
});

const notificationPageSchema = z
  .object({
    notifications: z.array(notificationSchema),
    couldLoadMore: z.boolean().meta({ description: 'There are older ones.' }),
    oldestReceived: z.iso.datetime().optional().meta({ description: 'The date of the last one: `before` of the next page.' }),
  })
  .meta({ id: 'NotificationApiNotifications' });

const happening = z.iso
  .datetime({ offset: true })
  .transform((text) => new Date(text))
  .nullish();

const changeBodySchema = z
  .strictObject({
    trackingIds: z
      .array(textSchema({ min: 1, max: TRACKING_ID_LENGTH_MAX }))
      .min(1)
      .max(TRACKING_IDS_MAX),
    opened: happening.meta({ description: 'The message is read; null: it is unread again.' }),
    clicked: happening.meta({ description: 'The message is read and its click is counted.' }),
    archived: happening.meta({ description: 'The message is archived; null: it is back in the inbox.' }),
  })
  .meta({ id: 'NotificationApiChange' });

const changedSchema = z.object({ found: z.int().min(1) }).meta({ id: 'NotificationApiChanged' });

/** The in-app notifications of a user, as `@notificationapi/core` asks for them. */
@ApiTags('NotificationAPI dialect')
@UserRoute()
@Controller(`${USER_PATH}/notifications/INAPP_WEB`)
export class UserNotificationsController {
  constructor(
    private readonly admitUser: AdmitUser,
    private readonly notifications: UserNotifications,
  ) {}

  @Get()
  @ApiOperation({ summary: 'List the in-app notifications of a user' })
  @Returns(200, notificationPageSchema, 'The notifications, newest first; archived ones are left out.')
  @ThrowsUserRefusals()
  async list(
    @Query({ schema: listQuerySchema }) query: z.infer<typeof listQuerySchema>,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<z.infer<typeof notificationPageSchema>> {
    const user = await this.admitUser.run({ ...readUserProof(request), surface: 'inbox' }, { request, reply });
    const { notifications, hasMore } = await this.notifications.list(user, query);
    const oldest = notifications.at(-1)?.date;
    return { notifications, couldLoadMore: hasMore, ...(oldest === undefined ? {} : { oldestReceived: oldest }) };
  }

  @Patch()
  @JsonBodyAs('text/plain')
  @ApiOperation({ summary: 'Tell that in-app notifications were opened, clicked or archived' })
  @Returns(200, changedSchema, 'How many of the notifications there are; those of others count as unknown.')
  @ThrowsUserRefusals(InboxMessageNotFoundError)
  async change(
    @Body({ schema: changeBodySchema }) body: z.infer<typeof changeBodySchema>,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<z.infer<typeof changedSchema>> {
    const user = await this.admitUser.run({ ...readUserProof(request), surface: 'inbox' }, { request, reply });
    return { found: await this.notifications.change(user, body) };
  }
}
