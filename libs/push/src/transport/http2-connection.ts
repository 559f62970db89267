/**
 * One HTTP/2 session and the streams on it.
 *
 * Life cycle: opening (until the peer's settings are there, so that its stream limit is known before the first request) -> open ->
 * retiring (GOAWAY, idle or faulty: takes no more requests, ends those it has) -> closed.
 *
 * Invariants: each exchange that was started comes back exactly once, over or as unprocessed. Unprocessed is what the peer certainly
 * did not look at: REFUSED_STREAM, or a stream above the last one that its GOAWAY names (RFC 9113 sections 6.8 and 8.7); only that may be
 * sent again without asking. No 'error' event of the session or a stream goes unhandled.
 */
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { pushHeaders, toResponseHead, type PushExchange } from './push-exchange.js';
import { PushTransportError, toTransportError } from './push-transport.errors.js';

/** Streams that we put on one session, whatever more the peer allows: a lost connection loses no more than this. */
export const STREAMS_PER_SESSION_MAX = 100;

const SESSION_OVER = new Set(['ERR_HTTP2_INVALID_SESSION', 'ERR_HTTP2_GOAWAY_SESSION', 'ERR_HTTP2_OUT_OF_STREAMS']);

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
  readonly #session: ClientHttp2Session;
  #state: 'opening' | 'open' | 'retiring' | 'closed' = 'opening';
  #inFlight = 0;
  #streamsMax = 0;
  #lastUsedMs = performance.now();
  #isPinging = false;
  #lastProcessedStreamId: number | undefined;
  #error: unknown;

  constructor(
    origin: string,
    private readonly socket: TLSSocket,
    private readonly options: { readonly pingTimeoutMs: number; readonly listener: Http2ConnectionListener },
  ) {
    this.#session = connect(origin, { createConnection: () => socket, settings: { enablePush: false } });
    const settingsTimer = setTimeout(() => this.#destroy(new PushTransportError('connect_timeout')), options.pingTimeoutMs);
    this.#session.on('remoteSettings', ({ maxConcurrentStreams }) => {
      clearTimeout(settingsTimer);
      this.#streamsMax = Math.min(maxConcurrentStreams ?? STREAMS_PER_SESSION_MAX, STREAMS_PER_SESSION_MAX);
      if (this.#state === 'opening') this.#state = 'open';
      if (this.#state === 'open') options.listener.onRoom();
    });
    this.#session.on('goaway', (_code, lastStreamId) => {
      this.#lastProcessedStreamId = lastStreamId;
      this.#retire();
    });
    this.#session.on('error', (error) => {
      this.#error ??= error;
    });
    this.#session.on('close', () => {
      clearTimeout(settingsTimer);
      this.#retire();
      this.#state = 'closed';
      options.listener.onClosed();
    });
  }

  /** Takes requests, or will do so when it has opened. */
  get isUsable(): boolean {
    return this.#state === 'opening' || this.#state === 'open';
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

  /** Sends one request. Only with room. */
  start(exchange: PushExchange): void {
    exchange.attempts += 1;
    const stream = this.#request(exchange);
    if (stream === undefined) return;
    this.#inFlight += 1;
    this.#lastUsedMs = performance.now();
    exchange.onCancelled = () => {
      stream.close(constants.NGHTTP2_CANCEL);
      // Silence may be the fault of the connection, which would fail all that follows as well.
      this.ping();
    };
    let streamError: unknown;
    stream.on('response', (headers, flags) => {
      exchange.receiveHead(toResponseHead(headers[':status'] ?? 0, headers));
      if ((flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0) exchange.finish();
    });
    stream.on('data', (chunk: Buffer) => {
      if (exchange.receiveBody(chunk)) return;
      exchange.finish();
      stream.close(constants.NGHTTP2_CANCEL);
    });
    stream.on('error', (error) => {
      streamError = error;
    });
    stream.on('close', () => this.#onStreamClosed(exchange, stream, streamError));
    stream.end(exchange.request.body);
  }

  /** Closes the connection when nothing used it for so long; pings it otherwise. A peer that does not let go of it is left. */
  sweep(nowMs: number, idleMs: number): void {
    if (this.#state === 'retiring' && this.#inFlight === 0) this.socket.destroy();
    else if (this.#state === 'open' && this.#inFlight === 0 && nowMs - this.#lastUsedMs >= idleMs) this.#retire();
    else this.ping();
  }

  /** Destroys the connection unless the peer answers a ping in time. */
  ping(): void {
    if (this.#isPinging || this.#session.destroyed || this.#state === 'opening') return;
    this.#isPinging = true;
    const timer = setTimeout(() => this.#destroy(new PushTransportError('connection_stalled')), this.options.pingTimeoutMs);
    const isSent = this.#session.ping(() => {
      clearTimeout(timer);
      this.#isPinging = false;
    });
    if (!isSent) clearTimeout(timer);
  }

  /** Ends everything at once. */
  close(): void {
    this.#destroy(new PushTransportError('transport_closed'));
  }

  #request(exchange: PushExchange): ClientHttp2Stream | undefined {
    try {
      return this.#session.request({ ':method': 'POST', ':path': exchange.path, ...pushHeaders(exchange.request) });
    } catch (error) {
      if (!isSessionOver(error)) {
        exchange.fail(new PushTransportError('request_invalid', { cause: error }));
        return undefined;
      }
      this.#retire();
      // Not at once: the pool is in the midst of giving requests out.
      queueMicrotask(() => this.options.listener.onUnprocessed(exchange));
      return undefined;
    }
  }

  #onStreamClosed(exchange: PushExchange, stream: ClientHttp2Stream, streamError: unknown): void {
    this.#inFlight -= 1;
    this.#lastUsedMs = performance.now();
    if (this.#session.closed || this.#session.destroyed) this.#retire();
    if (!exchange.isOver) {
      exchange.onCancelled = undefined;
      if (exchange.hasHead) exchange.finish();
      else if (this.#isUnprocessed(stream)) this.options.listener.onUnprocessed(exchange);
      else exchange.fail(this.#whyFailed(stream, streamError));
    }
    if (this.room > 0) this.options.listener.onRoom();
  }

  #isUnprocessed(stream: ClientHttp2Stream): boolean {
    if (stream.rstCode === constants.NGHTTP2_REFUSED_STREAM || stream.id === undefined) return true;
    return this.#lastProcessedStreamId !== undefined && stream.id > this.#lastProcessedStreamId;
  }

  #whyFailed(stream: ClientHttp2Stream, streamError: unknown): PushTransportError {
    const cause = this.#error ?? streamError;
    if (!this.isUsable || cause instanceof PushTransportError) return toTransportError(cause, true);
    return new PushTransportError('stream_reset', { cause: streamError ?? new Error(`HTTP/2 error code ${stream.rstCode}`) });
  }

  #retire(): void {
    if (!this.isUsable) return;
    const neverOpened = this.#state === 'opening';
    this.#state = 'retiring';
    if (!this.#session.closed && !this.#session.destroyed) this.#session.close();
    this.options.listener.onRetired(neverOpened ? toTransportError(this.#error, false) : undefined);
  }

  #destroy(error: PushTransportError): void {
    this.#error ??= error;
    if (!this.#session.destroyed) this.#session.destroy(error);
    // The session would wait until its last bytes are sent, which a dead peer never takes.
    this.socket.destroy();
  }
}

/** The session takes no requests any more, unlike a request that no session would take. */
function isSessionOver(error: unknown): boolean {
  return error instanceof Error && 'code' in error && SESSION_OVER.has(String(error.code));
}
