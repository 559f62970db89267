import { decodeMessageId, timeOfUuid } from '#contracts';
import type { InboxMessage } from '#inbox';
import { z } from 'zod';

/** What stands for the kind of a notification, which messages of an inbox have none of. */
const NOTIFICATION_ID = 'inbox';

/** A message as NotificationAPI's clients know it. */
export const notificationSchema = z
  .object({
    id: z.string().meta({ description: 'Public id of the message, `msg_…`; its tracking id.' }),
    notificationId: z.string().meta({ description: 'Always `inbox`.' }),
    seen: z.boolean().meta({ description: 'True once the message is read.' }),
    title: z.string().meta({ description: 'HTML without markup: the clients show it as HTML.' }),
    redirectURL: z.string().optional(),
    imageURL: z.string().optional(),
    date: z.iso.datetime().meta({ description: 'When the message was triggered; pages go by it.' }),
    parameters: z.record(z.string(), z.unknown()).meta({ description: '`body` and the data of the message, as they are.' }),
    expDate: z.int().meta({ description: 'Unix seconds.' }),
    opened: z.iso.datetime().optional(),
    archived: z.iso.datetime().optional(),
  })
  .meta({ id: 'NotificationApiNotification' });

export type NotificationApiNotification = z.infer<typeof notificationSchema>;

const MS_PER_SECOND = 1_000;

/** Shows a message. The published clients put the title into `innerHTML`, so everything that HTML would read is escaped. */
export function toNotification(message: InboxMessage): NotificationApiNotification {
  const image = message.image ?? message.icon;
  return {
    id: message.id,
    notificationId: NOTIFICATION_ID,
    seen: message.read_at !== null,
    title: escapeHtml(message.title),
    ...(message.url === null ? {} : { redirectURL: message.url }),
    ...(image === null ? {} : { imageURL: image }),
    date: dateOf(message),
    parameters: { ...message.data, ...(message.body === null ? {} : { body: message.body }) },
    expDate: Math.floor(Date.parse(message.expires_at) / MS_PER_SECOND),
    ...(message.read_at === null ? {} : { opened: message.read_at }),
    ...(message.archived_at === null ? {} : { archived: message.archived_at }),
  };
}

/**
 * The key before which a page begins whose messages are not younger than `before`. Those of the same millisecond are in it once more: the
 * clients know messages by their ids.
 */
export function keyBefore(before: Date): string {
  const time = (before.getTime() + 1).toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-0000-0000-000000000000`;
}

/** Messages lie in the order of their keys, whose time never changes: by the time of delivery pages would skip some. */
function dateOf(message: InboxMessage): string {
  const key = decodeMessageId(message.id);
  return key === undefined ? message.delivered_at : timeOfUuid(key.messageKey).toISOString();
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}
