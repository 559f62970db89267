import { Injectable } from '@nestjs/common';
import { decodeMessageId, inboxMessageChangedV1 } from '#contracts';
import { Database } from '#database';
import { Outbox } from '#event-log';
import { InboxMessageNotFoundError } from '../inbox.errors.js';
import { MessagePresenter, type InboxMessage } from '../message.js';
import { MessageStore, type InboxChange, type InboxOwner, type MessageChange } from '../message.store.js';

/**
 * Changes the state of messages and tells the subscriber's other tabs, both in one transaction. A repeat changes nothing and tells
 * nobody. Expired messages can be changed: a tab may still show one.
 */
@Injectable()
export class ChangeMessage {
  constructor(
    private readonly database: Database,
    private readonly messages: MessageStore,
    private readonly outbox: Outbox,
    private readonly presenter: MessagePresenter,
  ) {}

  /** @throws InboxMessageNotFoundError for unknown messages and, alike, for those of somebody else. */
  async change(owner: InboxOwner, messageId: string, change: MessageChange): Promise<InboxMessage> {
    const key = decodeMessageId(messageId);
    if (key === undefined || key.subscriberId !== owner.subscriberId) throw new InboxMessageNotFoundError();
    const row = await this.database.transaction(async (tx) => {
      const changed = await this.messages.change(owner, key.messageKey, change, tx);
      if (changed === undefined) return this.messages.find(owner, key.messageKey, tx);
      await this.outbox.append(inboxMessageChangedV1, [{ ...toRecordOwner(owner), message_key: key.messageKey }], tx);
      return changed;
    });
    const [presented] = row === undefined ? [] : await this.presenter.present(owner.environmentId, [row]);
    if (presented === undefined) throw new InboxMessageNotFoundError();
    return presented.message;
  }

  /** Changes every message that is not archived; answers how many were changed. */
  async changeAll(owner: InboxOwner, change: InboxChange): Promise<number> {
    return this.database.transaction(async (tx) => {
      const changed = await this.messages.changeAll(owner, change, tx);
      if (changed > 0) await this.outbox.append(inboxMessageChangedV1, [toRecordOwner(owner)], tx);
      return changed;
    });
  }
}

function toRecordOwner(owner: InboxOwner): { environment_id: string; subscriber_id: string } {
  return { environment_id: owner.environmentId, subscriber_id: owner.subscriberId };
}
