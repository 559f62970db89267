import { Injectable } from '@nestjs/common';
import { RecordEngagement } from '#engagement';
import { ChangeMessage, type InboxMessage, InboxMessageNotFoundError, type InboxOwner, ListMessages } from '#inbox';
import { keyBefore, type NotificationApiNotification, toNotification } from './notification.js';

/** Notifications of one page; clients ask for 50 or 100, and go on with another page where they want more. */
export const NOTIFICATIONS_PER_PAGE_MAX = 100;

/** Notifications that one change may name. */
export const TRACKING_IDS_MAX = 100;

/** The badge of the clients shows "+99" from 100 on; our count stops at 99. */
const BEYOND_COUNTED = 1;

/** What a client says about notifications: when something happened, `null` where it takes it back. */
export interface NotificationChange {
  readonly trackingIds: readonly string[];
  readonly opened?: Date | null | undefined;
  readonly clicked?: Date | null | undefined;
  readonly archived?: Date | null | undefined;
}

/** Notifications of a user, newest first. */
export interface NotificationPage {
  readonly notifications: NotificationApiNotification[];
  /** There are older ones. */
  readonly hasMore: boolean;
}

/** The inbox of a user in NotificationAPI's terms: opened means read. Archived messages are not listed. */
@Injectable()
export class UserNotifications {
  constructor(
    private readonly listMessages: ListMessages,
    private readonly changeMessage: ChangeMessage,
    private readonly engagement: RecordEngagement,
  ) {}

  /** Notifications that are not younger than `before`, newest first. */
  async list(owner: InboxOwner, page: { before?: Date | undefined; count: number }): Promise<NotificationPage> {
    const limit = Math.min(page.count, NOTIFICATIONS_PER_PAGE_MAX);
    const before = page.before === undefined ? {} : { before: keyBefore(page.before) };
    const { messages, nextBefore } = await this.listMessages.list(owner, { filter: { archived: false }, limit, ...before });
    return { notifications: messages.map(toNotification), hasMore: nextBefore !== undefined };
  }

  /** How many are not read; more than 99 where there are more than are counted. */
  async countUnread(owner: InboxOwner): Promise<number> {
    const { unread } = await this.listMessages.list(owner, { filter: { archived: false }, limit: 1 });
    return unreadCountOf(unread);
  }

  /** Marks all notifications as read, or one. @throws InboxMessageNotFoundError */
  async clearUnread(owner: InboxOwner, trackingId: string | undefined): Promise<void> {
    if (trackingId === undefined) await this.changeMessage.changeAll(owner, 'read');
    else await this.changeMessage.change(owner, trackingId, 'read');
  }

  /**
   * Changes notifications one after the other; those that are gone, or are somebody else's, are left out.
   * @returns how many there were
   * @throws InboxMessageNotFoundError where there was none of them
   */
  async change(owner: InboxOwner, change: NotificationChange): Promise<number> {
    let found = 0;
    for (const trackingId of new Set(change.trackingIds)) if (await this.changeOne(owner, trackingId, change)) found += 1;
    if (found === 0) throw new InboxMessageNotFoundError();
    return found;
  }

  private async changeOne(owner: InboxOwner, trackingId: string, { opened, clicked, archived }: NotificationChange): Promise<boolean> {
    try {
      if (opened === null) await this.changeMessage.change(owner, trackingId, 'unread');
      else if (opened !== undefined) await this.changeMessage.change(owner, trackingId, 'read');
      if (archived === null) await this.changeMessage.change(owner, trackingId, 'unarchive');
      else if (archived !== undefined) await this.changeMessage.change(owner, trackingId, 'archive');
      // What was clicked stays clicked.
      if (clicked instanceof Date) await this.click(await this.changeMessage.change(owner, trackingId, 'read'), clicked);
      return true;
    } catch (error) {
      if (error instanceof InboxMessageNotFoundError) return false;
      throw error;
    }
  }

  private async click({ receipt }: InboxMessage, occurredAt: Date): Promise<void> {
    await this.engagement.record([{ receipt, kind: 'clicked', occurredAt }]);
  }
}

/** The count as the clients show it. */
export function unreadCountOf(unread: { readonly count: number; readonly capped: boolean }): number {
  return unread.capped ? unread.count + BEYOND_COUNTED : unread.count;
}
