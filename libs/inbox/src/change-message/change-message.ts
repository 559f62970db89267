import { Injectable } from '@nestjs/common';
import { Clock, decodeMessageId, engagementRecordedV1, inboxMessageChangedV1 } from '#contracts';
import { Database, type Transaction } from '#database';
import { Outbox } from '#event-log';
import { InboxMessageNotFoundError } from '../inbox.errors.js';
import { MessagePresenter, type InboxMessage } from '../message.js';
import { MessageStore, type Happening, type InboxChange, type InboxOwner, type MessageChange } from '../message.store.js';

/** Messages that one call names. */
export const CHANGED_MESSAGES_MAX = 100;

/**
 * Changes the state of messages, tells the subscriber's other tabs and records what was seen, read and archived, all in one
 * transaction. A repeat changes nothing and tells nobody. Expired messages can be changed: a tab may still show one.
 */
@Injectable()
export class ChangeMessage {
  constructor(
    private readonly database: Database,
    private readonly messages: MessageStore,
    private readonly outbox: Outbox,
    private readonly presenter: MessagePresenter,
    private readonly clock: Clock,
  ) {}

  /** @throws InboxMessageNotFoundError for unknown messages and, alike, for those of somebody else. */
  async change(owner: InboxOwner, messageId: string, change: MessageChange): Promise<InboxMessage> {
    const key = decodeMessageId(messageId);
    if (key === undefined || key.subscriberId !== owner.subscriberId) throw new InboxMessageNotFoundError();
    const row = await this.database.transaction(async (tx) => {
      const changed = await this.messages.change(owner, key.messageKey, change, tx);
      if (changed === undefined) return this.messages.find(owner, key.messageKey, tx);
      await this.outbox.append(inboxMessageChangedV1, [{ ...toRecordOwner(owner), message_key: key.messageKey }], tx);
      await this.recordEngagement(owner, [changed], tx);
      return changed;
    });
    const [presented] = row === undefined ? [] : await this.presenter.present(owner.environmentId, [row]);
    if (presented === undefined) throw new InboxMessageNotFoundError();
    return presented.message;
  }

  /** Changes messages by their ids, up to {@link CHANGED_MESSAGES_MAX}; unknown ids and, alike, those of somebody else are left out. */
  async changeSome(owner: InboxOwner, messageIds: readonly string[], change: MessageChange): Promise<number> {
    if (messageIds.length > CHANGED_MESSAGES_MAX)
      throw new RangeError(`At most ${CHANGED_MESSAGES_MAX} messages, got ${messageIds.length}`);
    const keys = messageIds.flatMap((messageId) => {
      const key = decodeMessageId(messageId);
      return key?.subscriberId === owner.subscriberId ? [key.messageKey] : [];
    });
    if (keys.length === 0) return 0;
    return this.database.transaction(async (tx) => {
      const changed = await this.messages.changeSome(owner, [...new Set(keys)].sort(), change, tx);
      const records = changed.map(({ message_key }) => ({ ...toRecordOwner(owner), message_key }));
      if (records.length > 0) await this.outbox.append(inboxMessageChangedV1, records, tx);
      await this.recordEngagement(owner, changed, tx);
      return changed.length;
    });
  }

  /** Changes every message that is not archived; answers how many were changed. */
  async changeAll(owner: InboxOwner, change: InboxChange): Promise<number> {
    return this.database.transaction(async (tx) => {
      const changed = await this.messages.changeAll(owner, change, tx);
      if (changed.length > 0) await this.outbox.append(inboxMessageChangedV1, [toRecordOwner(owner)], tx);
      await this.recordEngagement(owner, changed, tx);
      return changed.length;
    });
  }

  private async recordEngagement(owner: InboxOwner, happenings: readonly Happening[], tx: Transaction): Promise<void> {
    const shared = { ...toRecordOwner(owner), channel: 'inbox' as const, occurred_at: this.clock.now().toISOString() };
    const events = happenings.flatMap(({ message_key, happened }) => happened.map((kind) => ({ ...shared, message_key, kind })));
    await this.outbox.append(engagementRecordedV1, events, tx);
  }
}

function toRecordOwner(owner: InboxOwner): { environment_id: string; subscriber_id: string } {
  return { environment_id: owner.environmentId, subscriber_id: owner.subscriberId };
}
