import { backoffMs } from './backoff.js';
import { BelfryClientError, errorOfFailure } from './client-error.js';
import { EventStreamParser, type StreamEvent } from './event-stream-parser.js';
import type { Gateway } from './gateway.js';
import type { InboxMessage, UnreadCount } from './inbox-types.js';
import type { SessionKeeper } from './session-keeper.js';

/** `waiting`: the connection is gone and comes back by itself; `failed`: it does not, see the error. */
export type LiveState = 'connecting' | 'open' | 'waiting' | 'failed' | 'closed';

/** Who wants to know what happens in the inbox. */
export interface LiveListener {
  /** A message came or changed; it is told with its whole present state, after a reconnect perhaps twice: merge by id. */
  onMessage?(message: InboxMessage, change: 'delivered' | 'updated'): void;
  onUnread?(unread: UnreadCount): void;
  /** Read the list again: more changed than the stream can tell. */
  onResync?(reason: string): void;
  onState?(state: LiveState, error?: BelfryClientError): void;
}

/** Silence after which a connection counts as dead; the gateway's heartbeats come every 20 s, at most every 60 s. */
const SILENCE_MS_MAX = 130_000;

/** A stream that stood this long was a good one: what comes after it starts anew with the shortest wait. */
const STEADY_MS_MIN = 5_000;

/** Statuses that the next attempt will get as well: the page or its configuration has to change first. */
const HOPELESS_STATUSES: ReadonlySet<number> = new Set([400, 401, 403, 404, 405]);

/** What a live stream is made of. */
export interface LiveParts {
  readonly gateway: Gateway;
  readonly session: SessionKeeper;
  readonly listener: LiveListener;
  /** Random numbers in [0, 1). */
  readonly random?: () => number;
}

/**
 * The inbox's live events, over a stream that is read with fetch: an EventSource could send its token in the URL only.
 *
 * Life: connecting -> open -> waiting -> connecting … until `close`, or until the gateway says what no repeat can mend (`failed`). After
 * a loss it goes on behind the last event that it got. The stream ends with its session token; the next one has a new token.
 */
export class LiveStream {
  readonly #closed = new AbortController();
  #lastEventId: string | undefined;
  #failures = 0;
  /** Why the last connection ended; undefined after an orderly end. */
  #error: BelfryClientError | undefined;
  #wake: () => void = () => undefined;

  constructor(private readonly parts: LiveParts) {}

  /** Runs until the end; never throws. */
  async run(): Promise<void> {
    while (!this.#isClosed) {
      this.#tell('connecting');
      const delayMs = await this.#stream();
      if (delayMs === undefined || this.#isClosed) return;
      this.#tell('waiting', this.#error);
      await this.#wait(delayMs);
    }
  }

  /** Reconnects at once if the stream waits: the connection came back, or somebody looks at the page again. */
  wake(): void {
    this.#wake();
  }

  /** Ends the stream. */
  close(): void {
    if (this.#isClosed) return;
    this.#closed.abort();
    this.#wake();
    this.#tell('closed');
  }

  get #isClosed(): boolean {
    return this.#closed.signal.aborted;
  }

  /** One connection from its opening to its end. @returns how long to wait before the next one; undefined for never */
  async #stream(): Promise<number | undefined> {
    const parser = new EventStreamParser(this.#lastEventId);
    let openedAtMs: number | undefined;
    this.#error = undefined;
    try {
      await this.#read(parser, () => (openedAtMs = performance.now()));
    } catch (thrown) {
      this.#error = thrown instanceof BelfryClientError ? thrown : errorOfFailure(thrown);
    }
    this.#lastEventId = parser.lastEventId;
    if (this.#isClosed) return undefined;
    const { status = 0, retryAfterMs = 0 } = this.#error ?? {};
    if (HOPELESS_STATUSES.has(status)) {
      this.#tell('failed', this.#error);
      return undefined;
    }
    const isSteady = openedAtMs !== undefined && performance.now() - openedAtMs >= STEADY_MS_MIN;
    this.#failures = isSteady ? 1 : this.#failures + 1;
    const random = this.parts.random ?? Math.random;
    const askedMs = this.#error === undefined ? (parser.retryMs ?? 0) * random() : retryAfterMs;
    return Math.max(backoffMs(this.#failures, random), askedMs);
  }

  /** Reads events until the stream ends. */
  async #read(parser: EventStreamParser, onOpen: () => void): Promise<void> {
    const { gateway, session } = this.parts;
    const connection = new AbortController();
    const end = (): void => connection.abort();
    this.#closed.signal.addEventListener('abort', end, { once: true, signal: connection.signal });
    let timer = setTimeout(end, SILENCE_MS_MAX);
    const headers: Record<string, string> = this.#lastEventId === undefined ? {} : { 'last-event-id': this.#lastEventId };
    try {
      const { signal } = connection;
      const response = await session.withToken((token) => gateway.open('/v1/inbox/stream', { token, headers, signal }));
      onOpen();
      this.#tell('open');
      const decoder = new TextDecoder();
      const reader = (response.body as ReadableStream<Uint8Array>).getReader();
      for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
        clearTimeout(timer);
        timer = setTimeout(end, SILENCE_MS_MAX);
        for (const event of parser.push(decoder.decode(piece.value, { stream: true }))) this.#dispatch(event);
      }
    } finally {
      clearTimeout(timer);
      end();
    }
  }

  #dispatch({ event, data }: StreamEvent): void {
    if (this.#isClosed) return;
    const value = JSON.parse(data) as unknown;
    try {
      this.#hand(event, value);
    } catch (error) {
      // A fault of the page is the page's: the stream goes on, and the fault shows up where uncaught ones do.
      reportError(error);
    }
  }

  #hand(event: string, value: unknown): void {
    const { listener } = this.parts;
    if (event === 'message.delivered' || event === 'message.updated') {
      listener.onMessage?.(value as InboxMessage, event === 'message.delivered' ? 'delivered' : 'updated');
    } else if (event === 'unread_count') {
      listener.onUnread?.(value as UnreadCount);
    } else if (event === 'resync') {
      listener.onResync?.((value as { reason: string }).reason);
    }
  }

  #tell(state: LiveState, error?: BelfryClientError): void {
    this.parts.listener.onState?.(state, error);
  }

  #wait(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, delayMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
