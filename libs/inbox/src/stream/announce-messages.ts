import { Injectable } from '@nestjs/common';
import type { InboxMessageChanged, InboxMessageDelivered } from '#contracts';
import { MessagePresenter } from '../message.js';
import { MessageStore, type InboxOwner, type MessageKey } from '../message.store.js';
import type { WorkProgress } from '../work-progress.js';
import { messageEvent, resyncEvent, unreadCountEvent } from './message-events.js';
import { TabRegistry } from './tab-registry.js';

/** Messages, and subscribers, read by one statement; a batch seldom concerns more of the connected ones. */
const ANNOUNCE_SLICE_MAX = 1_000;

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

  async delivered(notices: readonly InboxMessageDelivered[], progress: WorkProgress): Promise<void> {
    if (this.tabs.count === 0) return;
    const groups = new Map<string, ConnectedGroup>();
    for (const { environment_id: environmentId, message_key: messageKey, ...notice } of notices) {
      const range = { firstId: notice.first_recipient_id, lastId: notice.last_recipient_id };
      for (const subscriberId of this.tabs.subscribersIn(environmentId, range))
        groupOf(groups, environmentId).keys.set(`${subscriberId}:${messageKey}`, { subscriberId, messageKey });
    }
    await this.announce('message.delivered', groups, progress);
  }

  async changed(changes: readonly InboxMessageChanged[], progress: WorkProgress): Promise<void> {
    const wanted = changes.map((change) => ({
      environmentId: change.environment_id,
      subscriberId: change.subscriber_id,
      messageKey: change.message_key,
    }));
    await this.announce('message.updated', this.groupConnected(wanted), progress);
  }

  private async announce(
    event: 'message.delivered' | 'message.updated',
    groups: ReadonlyMap<string, ConnectedGroup>,
    progress: WorkProgress,
  ): Promise<void> {
    for (const [environmentId, group] of groups) {
      for (const keys of slices([...group.keys.values()])) {
        const rows = await this.messages.findMany(environmentId, keys);
        for (const { row, message } of await this.presenter.present(environmentId, rows)) {
          this.tabs.send({ environmentId, subscriberId: row.subscriber_id }, messageEvent(event, row, message));
          group.subscriberIds.add(row.subscriber_id);
        }
        await progress.heartbeat();
      }
      for (const subscriberId of group.allChangedIds) this.tabs.send({ environmentId, subscriberId }, resyncEvent('all_changed'));
      for (const subscriberIds of slices([...group.subscriberIds])) {
        const unread = await this.messages.countUnreadOfMany(environmentId, subscriberIds);
        for (const [subscriberId, count] of unread) this.tabs.send({ environmentId, subscriberId }, unreadCountEvent(count));
        await progress.heartbeat();
      }
    }
  }

  /** What concerns connected tabs, by environment, each message and subscriber once. */
  private groupConnected(wanted: readonly (InboxOwner & { messageKey?: string | undefined })[]): Map<string, ConnectedGroup> {
    const groups = new Map<string, ConnectedGroup>();
    for (const { environmentId, subscriberId, messageKey } of wanted) {
      if (this.tabs.tabsOf({ environmentId, subscriberId }).size === 0) continue;
      const group = groupOf(groups, environmentId);
      group.subscriberIds.add(subscriberId);
      if (messageKey === undefined) group.allChangedIds.add(subscriberId);
      else group.keys.set(`${subscriberId}:${messageKey}`, { subscriberId, messageKey });
    }
    return groups;
  }
}

interface ConnectedGroup {
  /** Messages that may exist. */
  readonly keys: Map<string, MessageKey>;
  /** Subscribers whose unread count has changed. */
  readonly subscriberIds: Set<string>;
  /** Subscribers who changed all their messages at once. */
  readonly allChangedIds: Set<string>;
}

function groupOf(groups: Map<string, ConnectedGroup>, environmentId: string): ConnectedGroup {
  const group = groups.get(environmentId) ?? { keys: new Map(), subscriberIds: new Set(), allChangedIds: new Set() };
  groups.set(environmentId, group);
  return group;
}

function* slices<Item>(items: readonly Item[]): Generator<readonly Item[]> {
  for (let start = 0; start < items.length; start += ANNOUNCE_SLICE_MAX) yield items.slice(start, start + ANNOUNCE_SLICE_MAX);
}
