import { LocalStore } from '../shared/local-store.js';
import { Gateway } from './gateway.js';
import type { InboxMessage, InboxPage, ListOptions, MessageChange, ReportedKind, UnreadCount } from './inbox-types.js';
import { type LiveListener, LiveStream } from './live-stream.js';
import {
  type ClaimOutcome,
  type CompanyProof,
  type GroupOutcome,
  type PersonProof,
  ProfileReporter,
  type Traits,
} from './profile-reporter.js';
import { PushSubscriber, type WorkerLocation } from './push-subscription.js';
import { type Identity, SessionKeeper } from './session-keeper.js';

/** Where the gateway serves the worker. */
export const WORKER_PATH = '/sdk/v1/belfry-worker.js';

/** What a client is made with. */
export interface BelfryClientOptions {
  /** `pk_…` of the environment; safe in a page. */
  readonly publicKey: string;
  /** For whom the page speaks, and how it proves it. */
  readonly identity: Identity;
  /** Where the gateway is; the page's own origin when left out. */
  readonly gateway?: string;
  /** The service worker for push; `/sdk/v1/belfry-worker.js` with the scope `/` when left out. It must be of the page's own origin. */
  readonly worker?: WorkerLocation;
  /** Stands in for the global `fetch`. */
  readonly fetch?: typeof fetch;
}

/** A stream that was opened by `BelfryClient.live`. */
export interface LiveHandle {
  close(): void;
}

/**
 * One subscriber's inbox, live events, push and profile, as a page speaks for the subscriber. Every method may throw `BelfryClientError`, and
 * nothing else.
 *
 * ```js
 * const client = new BelfryClient({ publicKey: 'pk_…', identity: { subscriberId: 'user-123', subscriberHash } });
 * const { data, unread } = await client.list({ limit: 20 });
 * const live = client.live({ onMessage: (message) => show(message), onUnread: ({ count }) => showBadge(count) });
 * button.onclick = () => client.push.subscribe();
 * ```
 */
export class BelfryClient {
  readonly push: PushSubscriber;
  readonly #gateway: Gateway;
  readonly #session: SessionKeeper;
  readonly #profiles: ProfileReporter;
  readonly #streams = new Set<LiveStream>();

  constructor(options: BelfryClientOptions) {
    const send: typeof fetch = options.fetch ?? ((input, init) => fetch(input, init));
    this.#gateway = new Gateway(options.gateway ?? location.origin, send);
    this.#session = new SessionKeeper(this.#gateway, options.publicKey, options.identity);
    const { publicKey, identity } = options;
    this.#profiles = new ProfileReporter({ gateway: this.#gateway, publicKey, identity });
    this.push = new PushSubscriber({
      gateway: this.#gateway,
      session: this.#session,
      store: new LocalStore(),
      publicKey: options.publicKey,
      worker: options.worker ?? { url: WORKER_PATH, scope: '/' },
    });
    if (typeof addEventListener === 'function') {
      addEventListener('online', this.#wakeStreams);
      globalThis.document?.addEventListener('visibilitychange', this.#wakeStreams);
      globalThis.navigator?.serviceWorker?.addEventListener('message', this.#hearWorker);
    }
  }

  /** Opens the session now, to find out whether the proof is good; every other method does it when needed. */
  async open(): Promise<void> {
    await this.#session.token();
  }

  /** Ends all streams and forgets the session. */
  close(): void {
    for (const stream of this.#streams) stream.close();
    this.#session.forget();
    if (typeof removeEventListener !== 'function') return;
    removeEventListener('online', this.#wakeStreams);
    globalThis.document?.removeEventListener('visibilitychange', this.#wakeStreams);
    globalThis.navigator?.serviceWorker?.removeEventListener('message', this.#hearWorker);
  }

  /**
   * Says who the person in front of the page is, and what is known of them. Traits that no proof covers may be kept as unverified.
   * A wrong signature is also said in the console.
   * @param proof the client's own, when left out and not among the traits either (`signature` or `hash`, and `signedAt`)
   */
  identify(subscriberId: string, traits: Traits = {}, proof: PersonProof = {}): Promise<ClaimOutcome> {
    return this.#profiles.identify(subscriberId, traits, proof);
  }

  /** Says to which company the person belongs, and what is known of it. A wrong signature is also said in the console. */
  group(companyId: string, traits: Traits = {}, proof: CompanyProof = {}): Promise<GroupOutcome> {
    return this.#profiles.group(companyId, traits, proof);
  }

  /** One page of the inbox, newest first; go on with `cursor: page.next_cursor` while `page.has_more`. */
  list(options: ListOptions = {}): Promise<InboxPage> {
    return this.#call<InboxPage>('GET', '/v1/inbox/messages', { query: { ...options } });
  }

  /** The number of unread messages. */
  countUnread(): Promise<UnreadCount> {
    return this.#call<UnreadCount>('GET', '/v1/inbox/unread-count');
  }

  /** Changes the state of one message. Other tabs learn of it by their streams. @returns the message as it is now */
  change(id: string, change: MessageChange): Promise<InboxMessage> {
    return this.#call<InboxMessage>('POST', `/v1/inbox/messages/${encodeURIComponent(id)}/${change}`);
  }

  /** Marks all messages that are not archived as read. @returns how many were changed */
  async markAllRead(): Promise<number> {
    return (await this.#call<{ changed: number }>('POST', '/v1/inbox/messages/read-all')).changed;
  }

  /** Marks all messages that are not archived as seen. @returns how many were changed */
  async markAllSeen(): Promise<number> {
    return (await this.#call<{ changed: number }>('POST', '/v1/inbox/messages/seen-all')).changed;
  }

  /** Counts what a person did with a message, also while the page is being left. */
  async report(message: Pick<InboxMessage, 'receipt'>, kind: ReportedKind): Promise<void> {
    const body = { items: [{ receipt: message.receipt, kind, occurred_at: new Date().toISOString() }] };
    await this.#gateway.call('POST', '/v1/engagement', { body, keepalive: true });
  }

  /** Opens the live stream. It reconnects by itself and goes on where it stopped. */
  live(listener: LiveListener): LiveHandle {
    const stream = new LiveStream({ gateway: this.#gateway, session: this.#session, listener });
    this.#streams.add(stream);
    void stream.run().finally(() => this.#streams.delete(stream));
    return stream;
  }

  #call<Answer>(method: string, path: string, options: { query?: Record<string, string | number | boolean | undefined> } = {}) {
    return this.#session.withToken((token) => this.#gateway.call<Answer>(method, path, { ...options, token }));
  }

  readonly #wakeStreams = (): void => {
    if (globalThis.document?.visibilityState === 'hidden') return;
    for (const stream of this.#streams) stream.wake();
  };

  /** The worker subscribed anew and could not prove it: a page that is there tells the gateway with its session. */
  readonly #hearWorker = (event: MessageEvent): void => {
    if ((event.data as { type?: unknown } | null)?.type !== 'belfry:subscription-changed') return;
    this.push.sync().catch(() => undefined);
  };
}
