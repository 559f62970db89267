import type { TLSSocket } from 'node:tls';
import { Http1Channel } from './http1-channel.js';
import { Http2Channel } from './http2-channel.js';
import type { ChannelLimits, OriginChannel } from './origin-channel.js';
import type { PushExchange } from './push-exchange.js';
import { PushTransportError, toTransportError } from './push-transport.errors.js';
import type { TlsConnector } from './tls-connector.js';

/**
 * Everything that goes to one origin.
 *
 * Life cycle: unknown -> probing (the first connection offers HTTP/2 and HTTP/1.1; requests wait for the peer's choice) -> HTTP/2 or
 * HTTP/1.1, remembered while a connection of it stands or can be opened -> unknown again. A failed probe fails what waited for it: the
 * next request probes anew, so that the sender alone decides about trying again.
 */
export class OriginClient {
  readonly #waiting = new Set<PushExchange>();
  #channel: OriginChannel | undefined;
  /** The connection that is being opened to learn the protocol. */
  #probeSocket: TLSSocket | undefined;

  constructor(
    private readonly origin: string,
    private readonly connector: TlsConnector,
    private readonly limits: ChannelLimits,
  ) {}

  get openConnections(): number {
    return this.#channel?.openConnections ?? 0;
  }

  /** True when the client holds nothing and may be forgotten. */
  get isIdle(): boolean {
    return this.#channel === undefined && this.#probeSocket === undefined;
  }

  send(exchange: PushExchange): void {
    if (this.#channel !== undefined) return this.#channel.send(exchange);
    if (this.#waiting.size >= this.limits.waitingMax) return exchange.fail(new PushTransportError('overloaded'));
    this.#waiting.add(exchange);
    exchange.onCancelled = () => this.#waiting.delete(exchange);
    if (this.#probeSocket === undefined) this.#probe();
  }

  sweep(nowMs: number): void {
    this.#channel?.sweep(nowMs);
  }

  close(): void {
    this.#probeSocket?.destroy(new PushTransportError('transport_closed'));
    this.#channel?.close();
  }

  #probe(): void {
    let socket: TLSSocket;
    try {
      socket = this.connector.open(this.origin, ['h2', 'http/1.1']);
    } catch (error) {
      return this.#onProbeFailed(error);
    }
    this.#probeSocket = socket;
    let cause: unknown;
    const onClose = () => this.#onProbeFailed(cause);
    socket.once('error', (error) => {
      cause = error;
    });
    socket.once('close', onClose);
    socket.once('secureConnect', () => {
      socket.off('close', onClose);
      this.#onProbed(socket);
    });
  }

  #onProbed(socket: TLSSocket): void {
    const parts = { origin: this.origin, connector: this.connector, limits: this.limits, onDead: () => this.#forget(channel) };
    const channel: OriginChannel = socket.alpnProtocol === 'h2' ? new Http2Channel(parts, socket) : new Http1Channel(parts, socket);
    this.#probeSocket = undefined;
    this.#channel = channel;
    for (const exchange of this.#waiting) channel.send(exchange);
    this.#waiting.clear();
  }

  #onProbeFailed(cause: unknown): void {
    this.#probeSocket = undefined;
    const error = toTransportError(cause, false);
    for (const exchange of this.#waiting) exchange.fail(error);
    this.#waiting.clear();
  }

  #forget(channel: OriginChannel): void {
    if (this.#channel === channel) this.#channel = undefined;
  }
}
