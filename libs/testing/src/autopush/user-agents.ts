import { randomBytes } from 'node:crypto';
import type { AckCode } from './browser-message.js';

/** A subscription of a browser, as the server knows it. */
export interface AutopushSubscription {
  readonly channelId: string;
  readonly endpoint: string;
  /** The application server's key with which the page subscribed, base64url; of a subscription without one, that of the first message. */
  readonly vapidPublicKey: string | undefined;
  /** Until the browser unregisters it, or the server forgets the browser. */
  readonly isActive: boolean;
}

/** A message that was accepted for a browser. */
export interface AutopushMessage {
  /** Names the message towards the browser; the `Location` of the answer ends with it. */
  readonly version: string;
  readonly channelId: string;
  readonly topic: string | undefined;
  readonly ttlSeconds: number;
  readonly urgency: string;
  readonly bodyBytes: number;
  /**
   * - `waiting`: the browser is not connected.
   * - `sent`: the browser has it and did not answer yet.
   * - `acknowledged`: see `ackCode`.
   * - `replaced`: a newer message with the same topic came while it waited.
   * - `expired`: its time to live ended while it waited, or the browser is forgotten.
   */
  readonly state: 'waiting' | 'sent' | 'acknowledged' | 'replaced' | 'expired';
  /** What the browser said of it. */
  readonly ackCode: AckCode | undefined;
  /** Fault of the service worker that the browser reported, see `BrowserMessage`. */
  readonly faultCode: number | undefined;
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

export type KnownSubscription = Writable<AutopushSubscription> & { readonly userAgent: UserAgent };

export interface KnownMessage extends Writable<AutopushMessage> {
  /** What the browser gets, base64url; undefined for a message without a body. */
  readonly data: string | undefined;
  readonly expiresAtMs: number;
}

/** The way to a connected browser. */
export interface BrowserLink {
  send(message: object): void;
  /** Ends the connection. */
  close(): void;
}

const UAID_BYTES = 16;
const TOKEN_BYTES = 24;

/** A browser: it keeps its subscriptions and what waits for it over its connections. */
export class UserAgent {
  readonly uaid = randomBytes(UAID_BYTES).toString('hex');
  readonly channels = new Map<string, KnownSubscription>();
  readonly messages: KnownMessage[] = [];
  #link: BrowserLink | undefined;

  get isConnected(): boolean {
    return this.#link !== undefined;
  }

  /** Takes a new connection and ends the one before; what was not acknowledged there waits again for `flush`. */
  connect(link: BrowserLink): void {
    if (this.#link !== undefined) {
      this.#link.close();
      this.disconnect(this.#link);
    }
    this.#link = link;
  }

  /** The connection ended; a newer one stays. */
  disconnect(link: BrowserLink): void {
    if (this.#link !== link) return;
    this.#link = undefined;
    for (const message of this.messages) if (message.state === 'sent') message.state = 'waiting';
  }

  /** Takes a message, which takes the place of one with the same topic that still waits. */
  accept(message: KnownMessage): void {
    const { topic, channelId } = message;
    for (const earlier of this.messages) {
      const isSame = topic !== undefined && earlier.topic === topic && earlier.channelId === channelId;
      if (isSame && earlier.state === 'waiting') earlier.state = 'replaced';
    }
    this.messages.push(message);
    this.flush();
  }

  /** Sends what waits to the connected browser; without one, what may not wait is dropped (RFC 8030 section 5.2). */
  flush(): void {
    for (const message of this.messages) {
      if (message.state !== 'waiting') continue;
      if (this.#link !== undefined && (message.ttlSeconds === 0 || Date.now() < message.expiresAtMs)) this.#send(this.#link, message);
      else if (Date.now() >= message.expiresAtMs) message.state = 'expired';
    }
  }

  /** Ends the connection and all that waits: the server knows this browser no longer. */
  forget(): void {
    for (const message of this.messages) if (message.state === 'waiting' || message.state === 'sent') message.state = 'expired';
    for (const subscription of this.channels.values()) subscription.isActive = false;
    this.#link?.close();
    this.#link = undefined;
  }

  #send(link: BrowserLink, message: KnownMessage): void {
    const { channelId: channelID, version, ttlSeconds: ttl, data } = message;
    message.state = 'sent';
    const body = data === undefined ? {} : { data, headers: { encoding: 'aes128gcm' } };
    link.send({ messageType: 'notification', channelID, version, ttl, ...body });
  }
}

/** All browsers and their endpoints. */
export class UserAgents {
  readonly #byUaid = new Map<string, UserAgent>();
  readonly #byPath = new Map<string, KnownSubscription>();

  get all(): readonly UserAgent[] {
    return [...this.#byUaid.values()];
  }

  get subscriptions(): readonly KnownSubscription[] {
    return [...this.#byPath.values()];
  }

  /** The browser with that id; a new one when there is none, or none is known. */
  greet(uaid: string | undefined): UserAgent {
    const known = this.#byUaid.get(uaid ?? '') ?? new UserAgent();
    this.#byUaid.set(known.uaid, known);
    return known;
  }

  /** Subscribes a browser; the same channel again keeps its endpoint. */
  register(userAgent: UserAgent, { channelId, origin, key }: { channelId: string; origin: string; key?: string }): KnownSubscription {
    const known = userAgent.channels.get(channelId);
    if (known?.isActive === true) return known;
    const path = `/wpush/v2/${randomBytes(TOKEN_BYTES).toString('base64url')}`;
    const vapidPublicKey = key?.replace(/=+$/, '');
    const subscription = { channelId, endpoint: `${origin}${path}`, vapidPublicKey, isActive: true, userAgent };
    userAgent.channels.set(channelId, subscription);
    this.#byPath.set(path, subscription);
    return subscription;
  }

  findByPath(path: string): KnownSubscription | undefined {
    return this.#byPath.get(path);
  }

  /** Forgets every browser: at its next hello each is a new one and loses its subscriptions. */
  forgetAll(): void {
    for (const userAgent of this.#byUaid.values()) userAgent.forget();
    this.#byUaid.clear();
  }
}
