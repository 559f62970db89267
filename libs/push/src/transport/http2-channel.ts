/**
 * The HTTP/2 sessions of one origin.
 *
 * Requests go to the session with the fewest streams, those of one turn of the event loop to the same; those without room wait in the
 * order in which they came. The number of sessions follows the load: one connection's window and its losses bound what it carries, and
 * at a push service's distance several sessions are three times as fast as one. A session that ends (GOAWAY, reset, stall) is replaced
 * when requests need it.
 *
 * Invariants: at most `sessionsMax` sessions take requests; each exchange is carried by one session or waits here, never both. While no
 * session is left and none can be opened, what waits fails with the reason, and the channel is dead.
 */
import type { TLSSocket } from 'node:tls';
import { Http2Connection } from './http2-connection.js';
import type { ChannelParts, OriginChannel } from './origin-channel.js';
import type { PushExchange } from './push-exchange.js';
import { PushTransportError, toTransportError } from './push-transport.errors.js';

/** Streams on one session before another one is opened. */
export const STREAMS_PER_SESSION_TARGET = 50;

/** Requests that one session alone carries; more get a second one, so that the loss of a connection does not stop the origin. */
export const SINGLE_SESSION_STREAMS_MAX = 4;

/** How often a request is given to a session before it fails as refused. */
export const ATTEMPTS_MAX = 2;

/** Requests of one turn of the event loop that one session takes before the next one does: together they are one write and one record of TLS. */
const GATHERED_MAX = 16;

/** Pause before the next try to open one more session after a failed one. */
const GROWTH_PAUSE_MS = 1_000;

export class Http2Channel implements OriginChannel {
  readonly #sessions = new Set<Http2Connection>();
  /** Sockets that are no sessions yet. */
  readonly #connecting = new Set<TLSSocket>();
  readonly #waiting = new Set<PushExchange>();
  #streamsPerSession = STREAMS_PER_SESSION_TARGET;
  /** The session that took the last request. */
  #lastUsed: Http2Connection | undefined;
  #growAfterMs = 0;
  #isClosed = false;

  /** @param socket connected, ALPN chose `h2` */
  constructor(
    private readonly parts: ChannelParts,
    socket: TLSSocket,
  ) {
    this.#adopt(socket);
  }

  get openConnections(): number {
    return this.#sessions.size + this.#connecting.size;
  }

  send(exchange: PushExchange): void {
    if (this.#waiting.size >= this.parts.limits.waitingMax) return exchange.fail(new PushTransportError('overloaded'));
    this.#wait(exchange);
    this.#dispatch();
  }

  sweep(nowMs: number): void {
    for (const session of this.#sessions) session.sweep(nowMs, this.parts.limits.idleMs);
    if (this.openConnections === 0 && this.#waiting.size === 0) this.parts.onDead();
  }

  close(): void {
    this.#isClosed = true;
    for (const socket of this.#connecting) socket.destroy(new PushTransportError('transport_closed'));
    for (const session of this.#sessions) session.close();
    this.#failWaiting(new PushTransportError('transport_closed'));
  }

  #wait(exchange: PushExchange): void {
    this.#waiting.add(exchange);
    exchange.onCancelled = () => this.#waiting.delete(exchange);
  }

  /** Gives waiting requests to sessions with room, and opens sessions where the load asks for more. */
  #dispatch(): void {
    for (const exchange of this.#waiting) {
      const session = this.#leastLoaded(exchange.refusedBy);
      if (session === undefined) break;
      this.#waiting.delete(exchange);
      session.start(exchange);
    }
    this.#grow();
  }

  #leastLoaded(refusedBy: object | undefined): Http2Connection | undefined {
    const last = this.#lastUsed;
    if (last !== undefined && last.room > 0 && last !== refusedBy && last.gathered > 0 && last.gathered < GATHERED_MAX) return last;
    let best: Http2Connection | undefined;
    for (const session of this.#sessions) {
      if (session.room > 0 && session !== refusedBy && (best === undefined || session.inFlight < best.inFlight)) best = session;
    }
    this.#lastUsed = best;
    return best;
  }

  #grow(): void {
    const usable = this.#usableConnections;
    if (this.#isClosed || (usable > 0 && performance.now() < this.#growAfterMs)) return;
    for (let missing = this.#sessionsWanted() - usable; missing > 0; missing -= 1) this.#open();
  }

  get #usableConnections(): number {
    let count = this.#connecting.size;
    for (const session of this.#sessions) if (session.isUsable) count += 1;
    return count;
  }

  #sessionsWanted(): number {
    let load = this.#waiting.size;
    for (const session of this.#sessions) load += session.inFlight;
    if (load === 0) return 0;
    const [first] = this.#waiting;
    const fewest = load > SINGLE_SESSION_STREAMS_MAX || first?.refusedBy !== undefined ? 2 : 1;
    return Math.min(Math.max(Math.ceil(load / this.#streamsPerSession), fewest), this.parts.limits.sessionsMax);
  }

  #open(): void {
    const socket = this.parts.connector.open(this.parts.origin, ['h2']);
    let cause: unknown;
    this.#connecting.add(socket);
    const onClose = () => {
      this.#connecting.delete(socket);
      this.#onOpenFailed(toTransportError(cause, false));
    };
    socket.once('error', (error) => {
      cause = error;
    });
    socket.once('close', onClose);
    socket.once('secureConnect', () => {
      if (socket.alpnProtocol !== 'h2') return socket.destroy(new PushTransportError('protocol_error'));
      socket.off('close', onClose);
      this.#connecting.delete(socket);
      this.#adopt(socket);
    });
  }

  #adopt(socket: TLSSocket): void {
    const session: Http2Connection = new Http2Connection(this.parts.origin, socket, {
      pingTimeoutMs: this.parts.limits.pingTimeoutMs,
      listener: {
        onRoom: () => {
          this.#streamsPerSession = Math.max(Math.min(session.streamsMax, STREAMS_PER_SESSION_TARGET), 1);
          if (this.#waiting.size > 0) this.#dispatch();
        },
        onUnprocessed: (exchange) => this.#sendAgain(exchange, session),
        onRetired: (error) => {
          if (error !== undefined) this.#onOpenFailed(error);
          else if (this.#waiting.size > 0) this.#dispatch();
        },
        onClosed: () => this.#sessions.delete(session),
      },
    });
    this.#sessions.add(session);
  }

  #sendAgain(exchange: PushExchange, refusedBy: Http2Connection): void {
    if (exchange.isOver) return;
    if (exchange.attempts >= ATTEMPTS_MAX) return exchange.fail(new PushTransportError('refused_stream'));
    exchange.refusedBy = refusedBy;
    this.#wait(exchange);
    this.#dispatch();
  }

  /** With sessions left the origin goes on with fewer; without, it cannot be reached. */
  #onOpenFailed(error: PushTransportError): void {
    this.#growAfterMs = performance.now() + GROWTH_PAUSE_MS;
    if (this.#usableConnections === 0) {
      this.#failWaiting(error);
      this.parts.onDead();
      return;
    }
    for (const exchange of this.#waiting) exchange.refusedBy = undefined;
    this.#dispatch();
  }

  #failWaiting(error: PushTransportError): void {
    for (const exchange of this.#waiting) exchange.fail(error);
    this.#waiting.clear();
  }
}
