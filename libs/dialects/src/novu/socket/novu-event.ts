import type { InboxMessage } from '#inbox';
import type { SessionSubscriber } from '#identity';
import { toNovuNotification } from '../notifications/notification.js';
import { NOVU_COUNT_MAX } from '../notifications/notification-filter.js';

/** What `@novu/js` listens for. */
export interface NovuEvent {
  readonly event: 'notification_received' | 'unread_count_changed' | 'unseen_count_changed';
  readonly data: object;
}

/** A count of the live feed; `capped` where there are more. */
export interface FeedCount {
  readonly count: number;
  readonly capped: boolean;
}

/** A message that has just come, in the shape that the client's live connection takes: not that of the list. */
export function notificationReceived(message: InboxMessage, subscriber: SessionSubscriber): NovuEvent {
  const { id, to, body, isRead, isSeen, isArchived, readAt, firstSeenAt, channelType, primaryAction, secondaryAction, redirect, ...same } =
    toNovuNotification(message, subscriber);
  const buttons = [
    { type: 'primary', action: primaryAction },
    { type: 'secondary', action: secondaryAction },
  ].flatMap(({ type, action }) => (action === undefined ? [] : [{ type, content: action.label, url: action.redirect?.url }]));
  return {
    event: 'notification_received',
    data: {
      message: {
        ...same,
        _id: id,
        content: body,
        read: isRead,
        seen: isSeen,
        archived: isArchived,
        lastReadDate: readAt,
        firstSeenDate: firstSeenAt,
        channel: channelType,
        subscriber: { _id: to.id, subscriberId: to.subscriberId },
        cta: { data: redirect ?? {}, action: { buttons } },
      },
    },
  };
}

/** Counts as the session says them: {@link NOVU_COUNT_MAX} for that many or more, all of the severity `none`. */
export function unreadCountChanged({ count, capped }: FeedCount): NovuEvent {
  const total = Math.min(count, NOVU_COUNT_MAX);
  const counts = { total, severity: { high: 0, medium: 0, low: 0, none: total } };
  return { event: 'unread_count_changed', data: { counts, unreadCount: total, hasMore: capped || count > NOVU_COUNT_MAX } };
}

/** @param count one more than {@link NOVU_COUNT_MAX} stands for that many or more */
export function unseenCountChanged(count: number): NovuEvent {
  return { event: 'unseen_count_changed', data: { unseenCount: Math.min(count, NOVU_COUNT_MAX), hasMore: count > NOVU_COUNT_MAX } };
}
