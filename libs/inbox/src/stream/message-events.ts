import type { InboxMessage } from '../message.js';
import type { MessageRow, UnreadCount } from '../message.store.js';
import { formatEventId, NO_MESSAGE_KEY } from './event-id.js';
import type { TabEvent } from './tab-registry.js';

/** Why a tab has to read its list again: the stream cannot tell it all that changed. */
export const RESYNC_REASONS = ['position_invalid', 'too_much_missed', 'all_changed'] as const;

export type ResyncReason = (typeof RESYNC_REASONS)[number];

/** A message that came, or that changed, with its whole present state. */
export function messageEvent(event: 'message.delivered' | 'message.updated', row: MessageRow, message: InboxMessage): TabEvent {
  return { id: formatEventId({ micros: row.position_micros, messageKey: row.message_key }), event, data: message };
}

/** The unread count; with an instant it also moves the tab's position there. */
export function unreadCountEvent(unread: UnreadCount, micros?: string): TabEvent {
  const data = { count: unread.count, capped: unread.capped };
  if (micros === undefined) return { event: 'unread_count', data };
  return { id: formatEventId({ micros, messageKey: NO_MESSAGE_KEY }), event: 'unread_count', data };
}

/** Tells a tab to read its list again. */
export function resyncEvent(reason: ResyncReason): TabEvent {
  return { event: 'resync', data: { reason } };
}
