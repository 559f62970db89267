import { Injectable } from '@nestjs/common';
import { MessagePresenter, type InboxMessage } from '../message.js';
import { MessageStore, type InboxOwner, type MessagePage, type UnreadCount } from '../message.store.js';

/** One page of an inbox, newest first. */
export interface ListedMessages {
  readonly messages: readonly InboxMessage[];
  /** The key before which the next page begins; absent on the last one. */
  readonly nextBefore?: string;
  readonly unread: UnreadCount;
}

/** Reads pages of an inbox. */
@Injectable()
export class ListMessages {
  constructor(
    private readonly messages: MessageStore,
    private readonly presenter: MessagePresenter,
  ) {}

  /** Messages in the order of their keys, hence of the trigger of their campaign: a key never changes, so pages neither skip nor repeat. */
  async list(owner: InboxOwner, page: MessagePage): Promise<ListedMessages> {
    const { rows, unread } = await this.messages.readPage(owner, { ...page, limit: page.limit + 1 });
    const shown = rows.slice(0, page.limit);
    const presented = await this.presenter.present(owner.environmentId, shown);
    return {
      messages: presented.map(({ message }) => message),
      nextBefore: rows.length > page.limit ? shown.at(-1)?.message_key : undefined,
      unread,
    };
  }
}
