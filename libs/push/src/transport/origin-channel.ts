import type { PushExchange } from './push-exchange.js';
import type { TlsConnector } from './tls-connector.js';

/** Limits of one origin's connections. */
export interface ChannelLimits {
  /** HTTP/2 sessions. */
  readonly sessionsMax: number;
  /** HTTP/1.1 sockets. */
  readonly socketsMax: number;
  /** Requests that may wait for a connection. */
  readonly waitingMax: number;
  /** A connection without requests is closed after this time. */
  readonly idleMs: number;
  /** How long a session may take to answer a ping, or to send its first settings. */
  readonly pingTimeoutMs: number;
}

/** What a channel is made of. */
export interface ChannelParts {
  readonly origin: string;
  readonly connector: TlsConnector;
  readonly limits: ChannelLimits;
  /** The channel can no longer open connections; what it carried and what waited was told. */
  readonly onDead: () => void;
}

/** The connections of one origin in one version of HTTP. */
export interface OriginChannel {
  /** Carries the exchange to its end. */
  send(exchange: PushExchange): void;
  /** Closes idle connections and pings the others; called regularly. */
  sweep(nowMs: number): void;
  /** Closes all connections at once. */
  close(): void;
  readonly openConnections: number;
}
