import type { LookupFunction } from 'node:net';
import type { PushResponse } from '../deliver/classify-push-response.js';
import { OriginClient } from './origin-client.js';
import type { ChannelLimits } from './origin-channel.js';
import { PushExchange } from './push-exchange.js';
import { PushTransportError } from './push-transport.errors.js';
import { type PushRequest, PushTransport } from './push-transport.js';
import { TlsConnector } from './tls-connector.js';

/** TCP and TLS of one connection. */
export const CONNECT_TIMEOUT_MS = 3_000;

/** One request, from `send` to the end of the answer. */
export const TOTAL_TIMEOUT_MS = 15_000;

/** HTTP/2 sessions of one origin. */
export const SESSIONS_PER_ORIGIN_MAX = 8;

/** HTTP/1.1 connections of one origin. */
export const SOCKETS_PER_ORIGIN_MAX = 64;

/** Requests of one origin that wait for a connection; the sender's own limits lie far below. */
export const WAITING_PER_ORIGIN_MAX = 10_000;

/** How often connections are pinged, and closed where they are idle. */
const SWEEP_EVERY_MS = 30_000;

const IDLE_MS = 60_000;
const PING_TIMEOUT_MS = 5_000;

/** What may differ from the defaults. */
export interface HttpPushTransportOptions {
  /** Origins that may have private addresses: those that the operator listed. All others must be public. */
  readonly privateOrigins?: Iterable<string>;
  /** Certificates in PEM that are trusted instead of the well-known ones; for a push service of one's own. */
  readonly ca?: string;
  /** Resolves names instead of the system's resolver. */
  readonly lookup?: LookupFunction;
  readonly connectTimeoutMs?: number;
  readonly totalTimeoutMs?: number;
  readonly sessionsPerOriginMax?: number;
  readonly socketsPerOriginMax?: number;
  readonly waitingPerOriginMax?: number;
  readonly idleMs?: number;
  readonly sweepEveryMs?: number;
  readonly pingTimeoutMs?: number;
}

/**
 * Sends push requests over pooled connections: HTTP/2 where the push service speaks it, HTTP/1.1 with keep-alive otherwise.
 *
 * An `OriginClient` per origin holds the connections, a `PushExchange` per request carries it to its one outcome. Connections are opened
 * when requests need them and closed when idle; an origin without connections is forgotten. Redirects are answers like any other: they
 * are never followed, for they could lead anywhere. Requests are repeated here only when they were certainly not processed.
 */
export class HttpPushTransport extends PushTransport {
  readonly #origins = new Map<string, OriginClient>();
  readonly #inFlight = new Set<PushExchange>();
  readonly #connector: TlsConnector;
  readonly #limits: ChannelLimits;
  readonly #totalTimeoutMs: number;
  readonly #sweepTimer: NodeJS.Timeout;
  #isClosed = false;
  #onDrained: (() => void) | undefined;

  constructor(options: HttpPushTransportOptions = {}) {
    super();
    this.#connector = new TlsConnector({
      ca: options.ca,
      lookup: options.lookup,
      privateOrigins: new Set(options.privateOrigins),
      connectTimeoutMs: options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
    });
    this.#limits = {
      sessionsMax: options.sessionsPerOriginMax ?? SESSIONS_PER_ORIGIN_MAX,
      socketsMax: options.socketsPerOriginMax ?? SOCKETS_PER_ORIGIN_MAX,
      waitingMax: options.waitingPerOriginMax ?? WAITING_PER_ORIGIN_MAX,
      idleMs: options.idleMs ?? IDLE_MS,
      pingTimeoutMs: options.pingTimeoutMs ?? PING_TIMEOUT_MS,
    };
    this.#totalTimeoutMs = options.totalTimeoutMs ?? TOTAL_TIMEOUT_MS;
    this.#sweepTimer = setInterval(() => this.#sweep(), options.sweepEveryMs ?? SWEEP_EVERY_MS).unref();
  }

  /** Requests without an outcome yet. */
  get inFlight(): number {
    return this.#inFlight.size;
  }

  /** Connections to all push services together. */
  get openConnections(): number {
    return [...this.#origins.values()].reduce((sum, client) => sum + client.openConnections, 0);
  }

  async send(request: PushRequest): Promise<PushResponse> {
    if (this.#isClosed) throw new PushTransportError('transport_closed');
    if (request.signal.aborted) throw new PushTransportError('aborted', { cause: request.signal.reason });
    const exchange = new PushExchange(request, this.#totalTimeoutMs);
    this.#inFlight.add(exchange);
    exchange.onOver = () => this.#onOver(exchange);
    this.#clientOf(request.endpoint.origin).send(exchange);
    return exchange.answer;
  }

  async close(drainMs: number): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#sweepTimer);
    await this.#drain(drainMs);
    for (const exchange of this.#inFlight) exchange.cancel(new PushTransportError('transport_closed'));
    for (const client of this.#origins.values()) client.close();
  }

  #clientOf(origin: string): OriginClient {
    let client = this.#origins.get(origin);
    if (client === undefined) {
      client = new OriginClient(origin, this.#connector, this.#limits);
      this.#origins.set(origin, client);
    }
    return client;
  }

  #onOver(exchange: PushExchange): void {
    this.#inFlight.delete(exchange);
    if (this.#inFlight.size === 0) this.#onDrained?.();
  }

  async #drain(drainMs: number): Promise<void> {
    if (this.#inFlight.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, drainMs);
      this.#onDrained = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #sweep(): void {
    const nowMs = performance.now();
    for (const [origin, client] of this.#origins) {
      client.sweep(nowMs);
      if (client.isIdle) this.#origins.delete(origin);
    }
  }
}
