import { type InboxMessage, resolveSafeUrl } from '../client/index.js';
import { make, makeIcon } from './dom.js';
import { fullTime, relativeTime } from './relative-time.js';

const ICONS = {
  read: 'M3 8.5 12 14l9-5.5M3 8.5 12 3l9 5.5V19a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1z',
  unread: 'M3 6h18v13H3zM3 7l9 6 9-6',
  archive: 'M3 4h18v4H3zM5 8v11a1 1 0 0 0 1 1h12a1 1 0 0 0 1-1V8M10 12h4',
  unarchive: 'M3 4h18v4H3zM5 8v11a1 1 0 0 0 1 1h12a1 1 0 0 0 1-1V8M12 17v-6m-3 3 3-3 3 3',
} as const;

/** What a person did with a shown message. */
export interface ItemListener {
  onToggleRead(id: string): void;
  onToggleArchive(id: string): void;
  /** A link of the message was followed. */
  onFollow(id: string): void;
}

/** One message of the list. It is made once and kept up to date, so that the focus stays where it is. */
export class MessageItem {
  readonly element = make('li', 'message');
  readonly #heading = make('h3');
  readonly #body = make('p', 'body');
  readonly #time = make('time');
  readonly #dot = make('span', 'unread-dot');
  readonly #dotText = make('span', 'visually-hidden', 'Unread: ');
  readonly #links = make('span', 'links');
  readonly #readButton = makeIconButton();
  readonly #archiveButton = makeIconButton();
  #message: InboxMessage;

  constructor(
    message: InboxMessage,
    private readonly listener: ItemListener,
  ) {
    this.#message = message;
    this.#dot.setAttribute('aria-hidden', 'true');
    const meta = make('div', 'meta');
    meta.append(this.#time, this.#links);
    const text = make('div');
    text.append(this.#heading, this.#body, meta);
    const buttons = make('div', 'icon-buttons');
    buttons.append(this.#readButton, this.#archiveButton);
    this.element.append(this.#dot, text, buttons);
    this.#readButton.addEventListener('click', () => listener.onToggleRead(this.#message.id));
    this.#archiveButton.addEventListener('click', () => listener.onToggleArchive(this.#message.id));
    this.#showContent();
    this.update(message);
  }

  /** Shows the message as it is now. What it says never changes, only its state. */
  update(message: InboxMessage): void {
    this.#message = message;
    const isUnread = message.read_at === null;
    const isArchived = message.archived_at !== null;
    this.element.classList.toggle('is-unread', isUnread);
    this.#dot.hidden = !isUnread;
    this.#dotText.hidden = !isUnread;
    label(this.#readButton, isUnread ? 'Mark as read' : 'Mark as unread', message.title, isUnread ? ICONS.read : ICONS.unread);
    label(this.#archiveButton, isArchived ? 'Move to inbox' : 'Archive', message.title, isArchived ? ICONS.unarchive : ICONS.archive);
    this.showAge(new Date());
  }

  showAge(now: Date): void {
    this.#time.textContent = relativeTime(new Date(this.#message.delivered_at), now);
  }

  /** Marks it as just arrived. */
  highlight(): void {
    this.element.classList.add('is-new');
  }

  /** Puts the focus on the button that archives it: where the next message of a series is expected. */
  focus(): void {
    this.#archiveButton.focus();
  }

  #showContent(): void {
    const { title, body, url, actions, delivered_at: deliveredAt } = this.#message;
    const at = new Date(deliveredAt);
    this.#time.dateTime = deliveredAt;
    this.#time.title = fullTime(at);
    this.#body.textContent = body ?? '';
    this.#body.hidden = body === null;
    const link = this.#link(url, title);
    this.#heading.append(this.#dotText, link ?? title);
    this.#links.append(...actions.flatMap((action) => this.#link(action.url ?? url, action.title) ?? []));
    this.#links.hidden = this.#links.childElementCount === 0;
  }

  /** A place that is not safe gets no link at all. */
  #link(place: string | null, text: string): HTMLAnchorElement | undefined {
    const href = resolveSafeUrl(place, location.href);
    if (href === undefined) return undefined;
    const link = make('a', '', text);
    link.href = href;
    if (new URL(href).origin !== location.origin) {
      link.target = '_blank';
      link.rel = 'noopener noreferrer';
    }
    link.addEventListener('click', () => this.listener.onFollow(this.#message.id));
    return link;
  }
}

function makeIconButton(): HTMLButtonElement {
  const button = make('button');
  button.type = 'button';
  return button;
}

/** Screen readers hear which message the button belongs to; everybody else sees that. */
function label(button: HTMLButtonElement, words: string, title: string, icon: string): void {
  if (button.title === words) return;
  button.title = words;
  button.setAttribute('aria-label', `${words}: ${title}`);
  button.replaceChildren(makeIcon(icon));
}
