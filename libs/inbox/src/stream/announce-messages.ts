import { Injectable } from '@nestjs/common';
import type { InboxMessageChanged, InboxMessageDelivered } from '#contracts';
import { MessagePresenter } from '../message.js';
import { MessageStore, type InboxOwner, type MessageKey } from '../message.store.js';
import { messageEvent, resyncEvent, unreadCountEvent } from './message-events.js';
import { TabRegistry } from './tab-registry.js';

/**
 * Tells the tabs connected to this process what was committed. Every gateway reads every record and keeps what concerns its own
 * tabs; rows and counts are read once per batch and environment, not once per tab, and nothing is read when nobody is connected.
 */
@Injectable()
export class AnnounceMessages {
  constructor(
    private readonly tabs: TabRegistry,
    private readonly messages: MessageStore,
    private readonly presenter: MessagePresenter,
  ) {}

  async delivered(notices: readonly InboxMessageDelivered[]): Promise<void> {
    const wanted = notices.flatMap((notice) =>
      notice.recipient_ids.map((subscriberId) => ({ environmentId: notice.environment_id, subscriberId, messageKey: notice.message_key })),
    );
    await this.announce('message.delivered', this.groupConnected(wanted));
  }

  async changed(changes: readonly InboxMessageChanged[]): Promise<void> {
    const wanted = changes.map((change) => ({
      environmentId: change.environment_id,
      subscriberId: change.subscriber_id,
      messageKey: change.message_key,
    }));
    await this.announce('message.updated', this.groupConnected(wanted));
  }

  private async announce(event: 'message.delivered' | 'message.updated', groups: ReadonlyMap<string, ConnectedGroup>): Promise<void> {
    for (const [environmentId, group] of groups) {
      const rows = group.keys.size === 0 ? [] : await this.messages.findMany(environmentId, [...group.keys.values()]);
      const unread = await this.messages.countUnreadOfMany(environmentId, [...group.subscriberIds]);
      for (const { row, message } of await this.presenter.present(environmentId, rows)) {
        this.tabs.send({ environmentId, subscriberId: row.subscriber_id }, messageEvent(event, row, message));
      }
      for (const subscriberId of group.allChangedIds) this.tabs.send({ environmentId, subscriberId }, resyncEvent('all_changed'));
      for (const [subscriberId, count] of unread) this.tabs.send({ environmentId, subscriberId }, unreadCountEvent(count));
    }
  }

  /** What concerns connected tabs, by environment, each message and subscriber once. */
  private groupConnected(wanted: readonly (InboxOwner & { messageKey?: string | undefined })[]): Map<string, ConnectedGroup> {
    const groups = new Map<string, ConnectedGroup>();
    for (const { environmentId, subscriberId, messageKey } of wanted) {
      if (this.tabs.tabsOf({ environmentId, subscriberId }).size === 0) continue;
      const group = groups.get(environmentId) ?? { keys: new Map(), subscriberIds: new Set(), allChangedIds: new Set() };
      groups.set(environmentId, group);
      group.subscriberIds.add(subscriberId);
      if (messageKey === undefined) group.allChangedIds.add(subscriberId);
      else group.keys.set(`${subscriberId}:${messageKey}`, { subscriberId, messageKey });
    }
    return groups;
  }
}

interface ConnectedGroup {
  readonly keys: Map<string, MessageKey>;
  readonly subscriberIds: Set<string>;
  /** Subscribers who changed all their messages at once. */
  readonly allChangedIds: Set<string>;
}
