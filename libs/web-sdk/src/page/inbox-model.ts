import type { InboxMessage, InboxPage, ListOptions, MessageChange } from '../client/index.js';

/** Which messages are shown. */
export type Filter = 'inbox' | 'unread' | 'archive';

/** What the gateway is asked for to show a filter. */
export const FILTER_OPTIONS: Readonly<Record<Filter, ListOptions>> = {
  inbox: {},
  unread: { unread: true },
  archive: { archived: true },
};

/** What became of the shown list when a message came. */
export type Merged = 'added' | 'updated' | 'removed' | 'ignored';

/**
 * The shown messages, newest first, each once. Pages and live events are merged by id: a page may have been read before a change that an
 * event told already, and after a reconnect events repeat.
 */
export class InboxModel {
  filter: Filter = 'inbox';
  nextCursor: string | undefined;
  #messages: InboxMessage[] = [];

  get messages(): readonly InboxMessage[] {
    return this.#messages;
  }

  find(id: string): InboxMessage | undefined {
    return this.#messages.find((message) => message.id === id);
  }

  /** Shows another filter, empty at first. */
  reset(filter: Filter): void {
    this.filter = filter;
    this.nextCursor = undefined;
    this.#messages = [];
  }

  /** Takes the first page in the place of all that was shown. */
  replace(page: InboxPage): void {
    this.#messages = [];
    this.append(page);
  }

  /** Adds an older page. */
  append(page: InboxPage): void {
    this.nextCursor = page.next_cursor ?? undefined;
    const known = new Set(this.#messages.map(({ id }) => id));
    this.#messages.push(...page.data.filter(({ id }) => !known.has(id)));
    this.#messages.sort(newestFirst);
  }

  /** Takes a message in as it is now, or out when it belongs to the filter no longer. */
  merge(message: InboxMessage): Merged {
    const index = this.#messages.findIndex(({ id }) => id === message.id);
    if (!belongsTo(message, this.filter)) {
      if (index === -1) return 'ignored';
      this.#messages.splice(index, 1);
      return 'removed';
    }
    if (index !== -1) {
      this.#messages[index] = message;
      return 'updated';
    }
    // Older than what is shown: it comes with its page.
    const oldest = this.#messages.at(-1);
    if (this.nextCursor !== undefined && oldest !== undefined && newestFirst(message, oldest) > 0) return 'ignored';
    this.#messages.push(message);
    this.#messages.sort(newestFirst);
    return 'added';
  }
}

/** How a message will look after a change, before the gateway has answered. */
export function anticipate(message: InboxMessage, change: MessageChange, now: Date): InboxMessage {
  const at = now.toISOString();
  const seen = { ...message, seen_at: message.seen_at ?? at };
  switch (change) {
    case 'seen':
      return seen;
    case 'read':
      return { ...seen, read_at: message.read_at ?? at };
    case 'unread':
      return { ...message, read_at: null, archived_at: null };
    case 'archive':
      return { ...seen, read_at: message.read_at ?? at, archived_at: message.archived_at ?? at };
    case 'unarchive':
      return { ...message, archived_at: null };
  }
}

/** What takes a change back, given how the message was before. */
export function inverseOf(before: InboxMessage, change: MessageChange): MessageChange | undefined {
  if (change === 'read' || change === 'archive') {
    if (before.read_at === null) return 'unread';
    return change === 'archive' && before.archived_at === null ? 'unarchive' : undefined;
  }
  if (change === 'unarchive' || change === 'unread')
    return before.archived_at !== null ? 'archive' : change === 'unread' ? 'read' : undefined;
  return undefined;
}

function belongsTo(message: InboxMessage, filter: Filter): boolean {
  if (filter === 'archive') return message.archived_at !== null;
  return message.archived_at === null && (filter === 'inbox' || message.read_at === null);
}

function newestFirst(left: InboxMessage, right: InboxMessage): number {
  return right.delivered_at.localeCompare(left.delivered_at) || right.id.localeCompare(left.id);
}
