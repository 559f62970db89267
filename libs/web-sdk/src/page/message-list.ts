import type { InboxMessage } from '../client/index.js';
import { arrange, byId, focusContent, make } from './dom.js';
import { type ItemListener, MessageItem } from './message-item.js';
import { dayName } from './relative-time.js';

const AGE_REFRESH_MS = 30_000;

interface Day {
  readonly section: HTMLElement;
  readonly heading: HTMLHeadingElement;
  readonly list: HTMLUListElement;
}

/** The list of messages under headings of days. */
export class MessageList {
  readonly #parent = byId('messages');
  readonly #items = new Map<string, MessageItem>();
  readonly #days = new Map<string, Day>();

  constructor(private readonly listener: ItemListener) {
    setInterval(() => {
      const now = new Date();
      for (const item of this.#items.values()) item.showAge(now);
    }, AGE_REFRESH_MS);
  }

  /** Shows these messages, in this order. */
  render(messages: readonly InboxMessage[]): void {
    const now = new Date();
    const ids = new Set(messages.map(({ id }) => id));
    for (const id of this.#items.keys()) if (!ids.has(id)) this.#items.delete(id);
    const byDay = new Map<string, Element[]>();
    for (const message of messages) {
      const key = new Date(message.delivered_at).toDateString();
      const elements = byDay.get(key) ?? [];
      byDay.set(key, elements);
      elements.push(this.#itemOf(message).element);
    }
    for (const key of this.#days.keys()) if (!byDay.has(key)) this.#days.delete(key);
    const sections = [...byDay].map(([key, elements]) => {
      const { section, heading, list } = this.#dayOf(key);
      heading.textContent = dayName(new Date(key), now);
      arrange(list, elements);
      return section;
    });
    arrange(this.#parent, sections);
  }

  /** Marks a message as just arrived. */
  highlight(id: string): void {
    this.#items.get(id)?.highlight();
  }

  /** True when the focus is on this message. */
  hasFocus(id: string): boolean {
    return this.#items.get(id)?.element.contains(document.activeElement) ?? false;
  }

  /** Puts the focus on a message, or on the list when there is none. */
  focus(id: string | undefined): void {
    const item = id === undefined ? undefined : this.#items.get(id);
    if (item === undefined) focusContent();
    else item.focus();
  }

  #itemOf(message: InboxMessage): MessageItem {
    const known = this.#items.get(message.id);
    if (known !== undefined) {
      known.update(message);
      return known;
    }
    const item = new MessageItem(message, this.listener);
    this.#items.set(message.id, item);
    return item;
  }

  #dayOf(key: string): Day {
    const known = this.#days.get(key);
    if (known !== undefined) return known;
    const day: Day = { section: make('section', 'day'), heading: make('h2'), list: make('ul') };
    day.heading.id = `day-${key.replaceAll(' ', '-')}`;
    day.section.setAttribute('aria-labelledby', day.heading.id);
    // Safari takes the role away from lists without bullets.
    day.list.setAttribute('role', 'list');
    day.section.append(day.heading, day.list);
    this.#days.set(key, day);
    return day;
  }
}
