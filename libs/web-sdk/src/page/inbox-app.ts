import {
  type BelfryClient,
  BelfryClientError,
  type InboxMessage,
  type LiveHandle,
  type LiveState,
  type MessageChange,
  type UnreadCount,
} from '../client/index.js';
import { ChangeQueue } from './change-queue.js';
import { announce, byId } from './dom.js';
import { anticipate, type Filter, FILTER_OPTIONS, InboxModel, inverseOf } from './inbox-model.js';
import { MessageList } from './message-list.js';
import { PushCard } from './push-card.js';
import type { Toast } from './toast.js';

const PAGE_MESSAGES = 20;

/** So many the gateway gives at once. */
const LIST_MESSAGES_MAX = 100;

/** So many new messages are marked as seen one by one; more of them in one call. */
const SEEN_SINGLY_MAX = 3;

const DONE: Readonly<Record<MessageChange, string>> = {
  seen: 'Seen',
  read: 'Marked as read',
  unread: 'Marked as unread',
  archive: 'Archived',
  unarchive: 'Moved to inbox',
};

const EMPTY: Readonly<Record<Filter, readonly [title: string, text: string]>> = {
  inbox: ['Nothing here yet', 'New messages appear here by themselves, the moment they are sent.'],
  unread: ['All caught up', 'You have read everything.'],
  archive: ['The archive is empty', 'Messages that you archive are kept here.'],
};

const CONNECTION: Readonly<Record<LiveState, string>> = {
  connecting: 'Connecting …',
  open: 'Live',
  waiting: 'Reconnecting …',
  failed: 'Not connected',
  closed: '',
};

const LOST = 'The connection was lost. What was loaded is still here; new messages appear as soon as it is back.';
const OFFLINE = 'You are offline. What was loaded is still here; new messages appear as soon as you are back.';

/** The inbox of whoever is logged in: the list, its live events, and what the person does with it. */
export class InboxApp {
  readonly #model = new InboxModel();
  readonly #list = new MessageList({
    onToggleRead: (id) => this.#toggle(id, (message) => (message.read_at === null ? 'read' : 'unread')),
    onToggleArchive: (id) => this.#toggle(id, (message) => (message.archived_at === null ? 'archive' : 'unarchive')),
    onFollow: (id) => this.#follow(id),
  });
  readonly #push = new PushCard();
  readonly #changes = new ChangeQueue<InboxMessage>();
  #client: BelfryClient | undefined;
  #live: LiveHandle | undefined;
  /** Why the live stream is away, in words. */
  #loss: string | undefined;
  /** The last answer that is waited for: one that comes late would take away what the next has brought. */
  #reading: Promise<void> = Promise.resolve();
  /** Counts the loads of a first page: an answer that comes after the next question is not shown. */
  #load = 0;

  constructor(private readonly toast: Toast) {
    for (const button of filterButtons()) button.addEventListener('click', () => this.#show(button.dataset['filter'] as Filter));
    byId('read-all').addEventListener('click', () => void this.#readAll());
    byId('retry').addEventListener('click', () => void this.#reload());
    byId('more').addEventListener('click', () => void this.#more());
    document.addEventListener('visibilitychange', () => this.#noteSeen());
    addEventListener('offline', () => this.#showNotice());
    addEventListener('online', () => this.#showNotice());
  }

  open(client: BelfryClient): void {
    this.#client = client;
    byId('inbox').hidden = false;
    byId('connection').hidden = false;
    this.#show('inbox');
    this.#live = client.live({
      onMessage: (message, change) => this.#receive(message, change),
      onUnread: (unread) => showUnread(unread),
      onResync: () => void this.#reload({ quietly: true }),
      onState: (state, error) => this.#showConnection(state, error),
    });
    void this.#push.attach(client);
  }

  close(): void {
    this.#live?.close();
    this.#client?.close();
    this.#client = undefined;
    this.#load += 1;
    this.#loss = undefined;
    this.#push.detach();
    this.toast.hide();
    this.#model.reset('inbox');
    this.#render();
    showUnread({ count: 0, capped: false });
    for (const id of ['inbox', 'connection', 'offline']) byId(id).hidden = true;
  }

  #show(filter: Filter): void {
    for (const button of filterButtons()) {
      if (button.dataset['filter'] === filter) button.setAttribute('aria-current', 'true');
      else button.removeAttribute('aria-current');
    }
    byId('read-all').hidden = filter === 'archive';
    this.#model.reset(filter);
    this.#render();
    void this.#reload();
  }

  /** Reads what is shown anew. @param quietly leaves what is shown until the answer is there, and also when there is none */
  async #reload({ quietly = false } = {}): Promise<void> {
    this.#reading = quietly ? this.#reading.then(() => this.#read(true)) : this.#read(false);
    await this.#reading;
  }

  async #read(quietly: boolean): Promise<void> {
    const load = (this.#load += 1);
    const isLatest = (): boolean => load === this.#load;
    if (!quietly) this.#showState('loading');
    const limit = Math.min(LIST_MESSAGES_MAX, Math.max(PAGE_MESSAGES, this.#model.messages.length));
    try {
      const page = await this.#client?.list({ ...FILTER_OPTIONS[this.#model.filter], limit });
      if (page === undefined || !isLatest()) return;
      this.#model.replace(page);
      showUnread(page.unread);
      this.#render();
      this.#noteSeen();
    } catch (error) {
      if (isLatest() && !quietly) this.#showFailure(error);
    }
  }

  async #more(): Promise<void> {
    const button = byId<HTMLButtonElement>('more');
    button.disabled = true;
    this.#reading = this.#reading.then(() => this.#readOlder());
    await this.#reading;
    button.disabled = false;
  }

  async #readOlder(): Promise<void> {
    const { filter, nextCursor: cursor } = this.#model;
    const load = this.#load;
    if (cursor === undefined || this.#client === undefined) return;
    try {
      const page = await this.#client.list({ ...FILTER_OPTIONS[filter], limit: PAGE_MESSAGES, cursor });
      if (load !== this.#load) return;
      const before = new Set(this.#model.messages.map(({ id }) => id));
      this.#model.append(page);
      this.#render();
      this.#list.focus(this.#model.messages.find(({ id }) => !before.has(id))?.id);
    } catch (error) {
      this.toast.show(wordsOf(error));
    }
  }

  #receive(message: InboxMessage, change: 'delivered' | 'updated'): void {
    const isKnown = this.#model.find(message.id) !== undefined;
    const merged = this.#model.merge(message);
    if (merged === 'ignored') return;
    this.#render();
    if (merged !== 'added' || isKnown || change !== 'delivered') return;
    this.#list.highlight(message.id);
    announce(`New message: ${message.title}`);
    this.#noteSeen();
  }

  #toggle(id: string, choose: (message: InboxMessage) => MessageChange): void {
    const message = this.#model.find(id);
    if (message !== undefined) void this.#change(message, choose(message));
  }

  /** Shows a change at once, tells the gateway, and takes it back when the gateway does not accept it. */
  async #change(before: InboxMessage, change: MessageChange, isUndo = false): Promise<void> {
    const client = this.#client;
    if (client === undefined) return;
    const index = this.#model.messages.findIndex(({ id }) => id === before.id);
    const hadFocus = this.#list.hasFocus(before.id);
    const expected = anticipate(before, change, new Date());
    const isGone = this.#model.merge(expected) === 'removed';
    this.#render();
    if (isGone && hadFocus) this.#list.focus((this.#model.messages[index] ?? this.#model.messages[index - 1])?.id);
    const inverse = inverseOf(before, change);
    if (isUndo || inverse === undefined) this.toast.show(isUndo ? 'Undone' : DONE[change]);
    else this.toast.show(DONE[change], () => void this.#change(expected, inverse, true));
    try {
      const after = await this.#changes.run(before.id, () => client.change(before.id, change));
      if (after !== undefined) this.#model.merge(after);
    } catch (error) {
      this.#model.merge(before);
      this.toast.show(wordsOf(error));
    }
    this.#render();
  }

  /** The person leaves by a link of the message: that counts as a click, and the message as read. */
  #follow(id: string): void {
    const message = this.#model.find(id);
    if (message === undefined || this.#client === undefined) return;
    void this.#client.report(message, 'clicked').catch(() => undefined);
    if (message.read_at !== null) return;
    this.#model.merge(anticipate(message, 'read', new Date()));
    this.#render();
    void this.#client.change(id, 'read').catch(() => undefined);
  }

  async #readAll(): Promise<void> {
    try {
      const changed = (await this.#client?.markAllRead()) ?? 0;
      this.toast.show(
        changed === 0 ? 'Everything is read already' : changed === 1 ? '1 message marked as read' : `${changed} messages marked as read`,
      );
      await this.#reload({ quietly: true });
    } catch (error) {
      this.toast.show(wordsOf(error));
    }
  }

  /** What stands on a page that somebody looks at has been seen. */
  #noteSeen(): void {
    if (document.visibilityState === 'hidden' || this.#client === undefined) return;
    const unseen = this.#model.messages.filter(({ seen_at: seenAt }) => seenAt === null);
    for (const message of unseen) this.#model.merge(anticipate(message, 'seen', new Date()));
    const { length } = unseen;
    const client = this.#client;
    if (length > SEEN_SINGLY_MAX) void client.markAllSeen().catch(() => undefined);
    else for (const { id } of unseen) void client.change(id, 'seen').catch(() => undefined);
  }

  #render(): void {
    const { messages, filter, nextCursor } = this.#model;
    this.#list.render(messages);
    byId('more').hidden = nextCursor === undefined;
    const [title, text] = EMPTY[filter];
    byId('empty-title').textContent = title;
    byId('empty-text').textContent = text;
    this.#showState(messages.length === 0 ? 'empty' : 'list');
  }

  #showState(state: 'loading' | 'empty' | 'list' | 'failed'): void {
    byId('messages').setAttribute('aria-busy', String(state === 'loading'));
    byId('skeleton').hidden = state !== 'loading' || this.#model.messages.length > 0;
    byId('empty').hidden = state !== 'empty';
    byId('failure').hidden = state !== 'failed';
  }

  #showFailure(error: unknown): void {
    const { title, hint, code, requestId } =
      error instanceof BelfryClientError
        ? error
        : { title: 'Something went wrong', hint: 'Try again.', code: 'page_fault', requestId: undefined };
    byId('failure-title').textContent = title;
    byId('failure-text').textContent = hint;
    byId('failure-code').textContent = requestId === undefined ? code : `${code} · ${requestId}`;
    this.#showState('failed');
  }

  #showConnection(state: LiveState, error: BelfryClientError | undefined): void {
    byId('connection').dataset['state'] = state;
    byId('connection-text').textContent = CONNECTION[state];
    if (state === 'open') this.#loss = undefined;
    // A new attempt says nothing about the loss; it ends when a connection stands.
    else if (error !== undefined) this.#loss = state === 'failed' ? `${error.title}. ${error.hint}` : LOST;
    this.#showNotice();
  }

  /** Says that nothing new can come, and reads the list again when it can. */
  #showNotice(): void {
    const notice = byId('offline');
    const words = navigator.onLine ? this.#loss : OFFLINE;
    const wasLost = !notice.hidden;
    if (words !== undefined) notice.textContent = words;
    notice.hidden = words === undefined;
    if (wasLost && words === undefined) void this.#reload({ quietly: this.#model.messages.length > 0 });
  }
}

function filterButtons(): HTMLButtonElement[] {
  return [...document.querySelectorAll<HTMLButtonElement>('[data-filter]')];
}

function showUnread({ count, capped }: UnreadCount): void {
  const text = capped ? `${count}+` : String(count);
  const badge = byId('badge');
  badge.hidden = count === 0;
  badge.textContent = text;
  const words = document.createElement('span');
  words.className = 'visually-hidden';
  words.textContent = ' unread';
  badge.append(words);
  document.title = count === 0 ? 'Inbox' : `(${text}) Inbox`;
  const { setAppBadge } = navigator as { setAppBadge?: (count: number) => Promise<void> };
  setAppBadge?.call(navigator, count).catch(() => undefined);
}

function wordsOf(error: unknown): string {
  return error instanceof BelfryClientError ? `${error.title}.` : 'That did not work.';
}
