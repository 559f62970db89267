import { Injectable } from '@nestjs/common';
import type { Session } from '#identity';
import { ChangeMessage, CountMessages, type InboxChange, InboxMessageNotFoundError, ListMessages, type MessageChange } from '#inbox';
import type { NovuPage } from './list-query.js';
import { type NovuNotification, toNovuNotification } from './notification.js';
import { namesTag, NOVU_COUNT_MAX, type NovuFilter, toMessageFilter } from './notification-filter.js';

/** One page of an inbox. */
export interface NovuListed {
  readonly data: NovuNotification[];
  readonly hasMore: boolean;
}

/**
 * The inbox of a session as these clients see it. A session with a context sees what was sent in exactly that context; no message here is
 * sent in one, so that it sees none and changes none.
 */
@Injectable()
export class NovuInbox {
  constructor(
    private readonly listMessages: ListMessages,
    private readonly countMessages: CountMessages,
    private readonly changeMessage: ChangeMessage,
  ) {}

  /** @throws NovuFilterUnsupportedError, ValidationFailedError */
  async list(session: Session, { filter, before, offset, limit }: NovuPage): Promise<NovuListed> {
    const messageFilter = toMessageFilter(filter);
    if (messageFilter === undefined || hasContext(session)) return { data: [], hasMore: false };
    const { messages, nextBefore } = await this.listMessages.list(session, { filter: messageFilter, before, limit: offset + limit });
    return { data: messages.slice(offset).map((message) => toNovuNotification(message, session)), hasMore: nextBefore !== undefined };
  }

  /** @throws NovuFilterUnsupportedError, ValidationFailedError */
  async count(session: Session, filters: readonly NovuFilter[]): Promise<number[]> {
    const wanted = filters.map(toMessageFilter);
    if (hasContext(session)) return wanted.map(() => 0);
    const counted = await this.countMessages.count(
      session,
      wanted.filter((filter) => filter !== undefined),
      NOVU_COUNT_MAX,
    );
    return wanted.map((filter) => (filter === undefined ? 0 : (counted.shift() ?? 0)));
  }

  /** @throws InboxMessageNotFoundError */
  async change(session: Session, messageId: string, change: MessageChange): Promise<NovuNotification> {
    if (hasContext(session)) throw new InboxMessageNotFoundError();
    return toNovuNotification(await this.changeMessage.change(session, messageId, change), session);
  }

  /** Changes all messages that are not archived, or, of those tags, none. */
  async changeAll(session: Session, change: InboxChange, tags: NovuFilter['tags']): Promise<void> {
    if (hasContext(session) || namesTag(tags)) return;
    await this.changeMessage.changeAll(session, change);
  }

  /** Marks those of the ids as seen that are messages of the session. */
  async see(session: Session, messageIds: readonly string[]): Promise<void> {
    if (!hasContext(session)) await this.changeMessage.changeSome(session, messageIds, 'seen');
  }
}

function hasContext({ contextDigest }: Session): boolean {
  return contextDigest !== undefined;
}
