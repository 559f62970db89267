import { z } from 'zod';
import { decodeMessageId, encodeId } from '#contracts';
import type { SessionSubscriber } from '#identity';
import type { InboxMessage } from '#inbox';

const instant = z.iso.datetime();
const redirectSchema = z.object({ url: z.string() });
const actionSchema = z.object({ label: z.string(), isCompleted: z.boolean(), redirect: redirectSchema.optional() });

/** A message as `@novu/js` knows notifications. Members of theirs that we know nothing for are left out. */
export const novuNotificationSchema = z
  .object({
    id: z.string().meta({ description: 'The id of the message, `msg_…`.' }),
    transactionId: z.string().meta({ description: 'Names what was triggered: the same for all recipients of one run.' }),
    subject: z.string(),
    body: z.string(),
    to: z.object({ id: z.string(), subscriberId: z.string() }),
    isRead: z.boolean(),
    isSeen: z.boolean(),
    isArchived: z.boolean(),
    isSnoozed: z.boolean().meta({ description: 'Always false.' }),
    snoozedUntil: z.null(),
    deliveredAt: z.array(instant),
    createdAt: instant,
    readAt: instant.nullable(),
    firstSeenAt: instant.nullable(),
    archivedAt: instant.nullable(),
    avatar: z.string().optional().meta({ description: 'The icon of the message.' }),
    primaryAction: actionSchema.optional().meta({ description: 'The first action of the message.' }),
    secondaryAction: actionSchema.optional().meta({ description: 'The second one; there is no place for more.' }),
    channelType: z.literal('in_app'),
    tags: z.array(z.string()).meta({ description: 'Always empty.' }),
    data: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
    redirect: redirectSchema.optional().meta({ description: 'Where a click leads.' }),
    severity: z.literal('none'),
  })
  .meta({ id: 'NovuNotification' });

export type NovuNotification = z.infer<typeof novuNotificationSchema>;

/** The message of this subscriber as a notification. */
export function toNovuNotification(message: InboxMessage, subscriber: SessionSubscriber): NovuNotification {
  const [primary, secondary] = message.actions;
  return {
    id: message.id,
    transactionId: decodeMessageId(message.id)?.messageKey ?? message.id,
    subject: message.title,
    body: message.body ?? '',
    to: { id: encodeId('subscriber', subscriber.subscriberId), subscriberId: subscriber.externalId },
    isRead: message.read_at !== null,
    isSeen: message.seen_at !== null,
    isArchived: message.archived_at !== null,
    isSnoozed: false,
    snoozedUntil: null,
    deliveredAt: [message.delivered_at],
    createdAt: message.delivered_at,
    readAt: message.read_at,
    firstSeenAt: message.seen_at,
    archivedAt: message.archived_at,
    ...(message.icon === null ? {} : { avatar: message.icon }),
    ...(primary === undefined ? {} : { primaryAction: toAction(primary) }),
    ...(secondary === undefined ? {} : { secondaryAction: toAction(secondary) }),
    channelType: 'in_app',
    tags: [],
    data: message.data,
    ...(message.url === null ? {} : { redirect: { url: message.url } }),
    severity: 'none',
  };
}

function toAction({ title, url }: InboxMessage['actions'][number]): z.infer<typeof actionSchema> {
  return { label: title, isCompleted: false, ...(url === null ? {} : { redirect: { url } }) };
}
