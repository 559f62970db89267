/**
 * The push requests on one HTTP/2 session.
 *
 * Life cycle: opening (until the peer's settings are there, so that its stream limit is known before the first request) -> open ->
 * retired (GOAWAY, idle or faulty: takes no more requests, ends those it has) -> closed.
 *
 * Invariants: each exchange that was started comes back exactly once, over or as unprocessed. Unprocessed is what the peer certainly
 * did not look at: REFUSED_STREAM, or a stream above the last one that its GOAWAY names (RFC 9113 sections 6.8 and 8.7); only that may be
 * sent again without asking.
 */
import type { TLSSocket } from 'node:tls';
import type { OutgoingField } from './http2/hpack-encoder.js';
import type { Http2StreamFailure } from './http2/http2-listeners.js';
import { Http2Session } from './http2/http2-session.js';
import { pushHeaders, toResponseHead, type PushExchange } from './push-exchange.js';
import { PushTransportError, toTransportError } from './push-transport.errors.js';

/** Streams that we put on one session, whatever more the peer allows: a lost connection loses no more than this. */
export const STREAMS_PER_SESSION_MAX = 100;

/** What a header field of ours may hold; a line end would begin another field at the next HTTP/1.1 hop. */
const FIELD_VALUE = /^[\x20-\x7e]*$/;

/** Fields whose value comes again on the same connection: the token of an environment is signed once in hours. */
const REPEATED_FIELDS = new Set(['authorization', 'urgency', 'content-encoding', 'content-type']);

/** What the pool that holds the connection wants to know. */
export interface Http2ConnectionListener {
  /** The connection opened, or has room again. */
  readonly onRoom: () => void;
  /** The exchange was certainly not processed and may go elsewhere. */
  readonly onUnprocessed: (exchange: PushExchange) => void;
  /** The connection takes no more requests. Called once; `error` says why it never opened, where it did not. */
  readonly onRetired: (error?: PushTransportError) => void;
  /** Nothing is left of the connection. Called once, after `onRetired`. */
  readonly onClosed: () => void;
}

export class Http2Connection {
  readonly #session: Http2Session;
  /** The fields that each request of the origin begins with. */
  readonly #target: readonly OutgoingField[];
  readonly #settingsTimer: NodeJS.Timeout;
  #pingTimer: NodeJS.Timeout | undefined;
  #state: 'opening' | 'open' | 'retired' = 'opening';
  #inFlight = 0;
  #streamsMax = 0;
  #lastUsedMs = performance.now();

  constructor(
    origin: string,
    private readonly socket: TLSSocket,
    private readonly options: { readonly pingTimeoutMs: number; readonly listener: Http2ConnectionListener },
  ) {
    this.#target = [
      [':method', 'POST', 'indexed'],
      [':scheme', 'https', 'indexed'],
      [':authority', new URL(origin).host, 'indexed'],
    ];
    this.#settingsTimer = setTimeout(() => this.#destroy(new PushTransportError('connect_timeout')), options.pingTimeoutMs);
    this.#session = new Http2Session(socket, {
      onSettings: (streamsMax) => this.#onSettings(streamsMax),
      onClosing: () => this.#retire(),
      onClosed: () => this.#onClosed(),
    });
  }

  /** Takes requests, or will do so when it has opened. */
  get isUsable(): boolean {
    return this.#state !== 'retired';
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Streams that the peer and we allow at once; 0 while opening. */
  get streamsMax(): number {
    return this.#streamsMax;
  }

  /** Requests that may be started now. */
  get room(): number {
    return this.#state === 'open' ? this.#streamsMax - this.#inFlight : 0;
  }

  /** Writes that leave together when this turn of the event loop ends. */
  get gathered(): number {
    return this.#session.gathered;
  }

  /** Sends one request. Only with room. */
  start(exchange: PushExchange): void {
    exchange.attempts += 1;
    const streamId = this.#request(exchange);
    if (streamId === undefined) return;
    this.#inFlight += 1;
    this.#lastUsedMs = performance.now();
    exchange.onCancelled = () => {
      this.#giveUp(streamId);
      // Silence may be the fault of the connection, which would fail all that follows as well.
      this.ping();
    };
  }

  /** Closes the connection when nothing used it for so long; pings it otherwise. A peer that does not let go of it is left. */
  sweep(nowMs: number, idleMs: number): void {
    if (this.#state === 'retired' && this.#inFlight === 0) this.socket.destroy();
    else if (this.#state === 'open' && this.#inFlight === 0 && nowMs - this.#lastUsedMs >= idleMs) this.#session.close();
    else this.ping();
  }

  /** Destroys the connection unless the peer answers a ping in time. */
  ping(): void {
    if (this.#pingTimer !== undefined || this.#session.isClosed || this.#state === 'opening') return;
    this.#pingTimer = setTimeout(() => this.#destroy(new PushTransportError('connection_stalled')), this.options.pingTimeoutMs);
    this.#session.ping(() => {
      clearTimeout(this.#pingTimer);
      this.#pingTimer = undefined;
    });
  }

  /** Ends everything at once. */
  close(): void {
    this.#destroy(new PushTransportError('transport_closed'));
  }

  #request(exchange: PushExchange): number | undefined {
    const fields = [...this.#target, [':path', exchange.path, 'secret'] as const, ...requestFields(exchange)];
    const refuse = (cause: unknown): undefined => exchange.fail(new PushTransportError('request_invalid', { cause })) as undefined;
    const broken = fields.find(([, value]) => !FIELD_VALUE.test(value));
    if (broken !== undefined) return refuse(new TypeError(`the field ${broken[0]} holds what no header may`));
    let streamId: number;
    try {
      streamId = this.#session.request(fields, exchange.request.body, {
        onHead: (received, status) => exchange.receiveHead(toResponseHead(status, Object.fromEntries(received))),
        onData: (chunk) => {
          if (exchange.receiveBody(chunk)) return;
          exchange.finish();
          this.#giveUp(streamId);
        },
        onEnd: () => this.#onStreamEnded(() => exchange.finish()),
        onFailed: (failure) => this.#onStreamEnded(() => this.#onFailed(exchange, failure)),
      });
    } catch (error) {
      return refuse(error);
    }
    return streamId;
  }

  #giveUp(streamId: number): void {
    this.#session.cancel(streamId);
    this.#onStreamEnded(() => undefined);
  }

  #onStreamEnded(tell: () => void): void {
    this.#inFlight -= 1;
    this.#lastUsedMs = performance.now();
    tell();
    if (this.room > 0) this.options.listener.onRoom();
  }

  #onFailed(exchange: PushExchange, { isUnprocessed, code }: Http2StreamFailure): void {
    if (exchange.isOver) return;
    exchange.onCancelled = undefined;
    if (exchange.hasHead) exchange.finish();
    else if (isUnprocessed) this.options.listener.onUnprocessed(exchange);
    else if (code === undefined) exchange.fail(toTransportError(this.#session.error, true));
    else exchange.fail(new PushTransportError('stream_reset', { cause: new Error(`HTTP/2 error code ${code}`) }));
  }

  #onSettings(streamsMax: number): void {
    clearTimeout(this.#settingsTimer);
    this.#streamsMax = Math.min(streamsMax, STREAMS_PER_SESSION_MAX);
    if (this.#state === 'opening') this.#state = 'open';
    if (this.#state === 'open') this.options.listener.onRoom();
  }

  #onClosed(): void {
    clearTimeout(this.#settingsTimer);
    clearTimeout(this.#pingTimer);
    this.options.listener.onClosed();
  }

  #retire(): void {
    if (!this.isUsable) return;
    const neverOpened = this.#state === 'opening';
    this.#state = 'retired';
    this.options.listener.onRetired(neverOpened ? toTransportError(this.#session.error, false) : undefined);
  }

  #destroy(error: PushTransportError): void {
    this.#session.destroy(error);
  }
}

function requestFields(exchange: PushExchange): OutgoingField[] {
  return Object.entries(pushHeaders(exchange.request)).map(([name, value]) => [
    name,
    String(value),
    REPEATED_FIELDS.has(name) ? 'indexed' : 'literal',
  ]);
}
