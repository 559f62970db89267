import type { ClientRequest, IncomingMessage } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import type { TLSSocket } from 'node:tls';
import type { ChannelParts, OriginChannel } from './origin-channel.js';
import { pushHeaders, toResponseHead, type PushExchange } from './push-exchange.js';
import { PushTransportError, toTransportError } from './push-transport.errors.js';

/** Bytes of an answer's body that are read and thrown away to keep a connection; for a longer one a new connection is cheaper. */
export const DISCARDED_BYTES_MAX = 65_536;

/**
 * The HTTP/1.1 connections of one origin, for push services that do not speak HTTP/2: kept alive, one request at a time on each, at most
 * `socketsMax`; further requests wait in the agent in the order in which they came. A request on a kept connection that the peer closes in
 * that moment fails with `connection_reset` and is not repeated here: it may have arrived.
 */
export class Http1Channel implements OriginChannel {
  readonly #agent: ConnectorAgent;
  readonly #origin: URL;
  #inFlight = 0;
  #lastUsedMs = performance.now();

  /** @param socket connected, ALPN chose `http/1.1` or nothing; carries the first request */
  constructor(
    private readonly parts: ChannelParts,
    socket: TLSSocket,
  ) {
    this.#origin = new URL(parts.origin);
    this.#agent = new ConnectorAgent(parts, socket);
  }

  get openConnections(): number {
    return this.#agent.openConnections;
  }

  send(exchange: PushExchange): void {
    const { socketsMax, waitingMax } = this.parts.limits;
    if (this.#inFlight >= socketsMax + waitingMax) return exchange.fail(new PushTransportError('overloaded'));
    const request = this.#request(exchange);
    if (request === undefined) return;
    this.#inFlight += 1;
    exchange.onCancelled = () => request.destroy();
    request.once('socket', () => {
      exchange.attempts += 1;
    });
    request.once('response', (response) => receive(exchange, request, response));
    request.on('error', (error) => exchange.fail(toTransportError(error, this.#agent.hasConnected(request))));
    request.once('close', () => {
      this.#inFlight -= 1;
      this.#lastUsedMs = performance.now();
      exchange.fail(new PushTransportError('connection_reset'));
    });
    request.end(exchange.request.body);
  }

  sweep(nowMs: number): void {
    if (this.#inFlight > 0 || nowMs - this.#lastUsedMs < this.parts.limits.idleMs) return;
    this.#agent.destroy();
    this.parts.onDead();
  }

  close(): void {
    this.#agent.destroy();
  }

  #request(exchange: PushExchange): ClientRequest | undefined {
    try {
      return httpsRequest({
        agent: this.#agent,
        method: 'POST',
        host: this.#origin.hostname,
        port: this.#origin.port,
        path: exchange.path,
        headers: pushHeaders(exchange.request),
      });
    } catch (error) {
      exchange.fail(new PushTransportError('request_invalid', { cause: error }));
      return undefined;
    }
  }
}

/** Reads the answer to its end, so that the connection can carry the next request. */
function receive(exchange: PushExchange, request: ClientRequest, response: IncomingMessage): void {
  exchange.receiveHead(toResponseHead(response.statusCode ?? 0, response.headers));
  let bytes = 0;
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    exchange.receiveBody(chunk);
    if (bytes <= DISCARDED_BYTES_MAX) return;
    exchange.finish();
    request.destroy();
  });
  response.on('error', () => exchange.finish());
  response.once('close', () => exchange.finish());
  response.once('end', () => exchange.finish());
}

/** A keep-alive agent whose sockets come from the connector, with its time limit and its guard. */
class ConnectorAgent extends Agent {
  readonly #open = new Set<TLSSocket>();
  /** Every socket that ever stood, for the reason of its failure. */
  readonly #connected = new WeakSet<object>();
  #spare: TLSSocket | undefined;

  constructor(
    private readonly parts: ChannelParts,
    spare: TLSSocket,
  ) {
    const { socketsMax, idleMs } = parts.limits;
    super({ keepAlive: true, maxSockets: socketsMax, maxFreeSockets: socketsMax, scheduling: 'lifo', timeout: idleMs });
    this.#spare = spare;
    this.#watch(spare);
    this.#onConnected(spare);
  }

  get openConnections(): number {
    return this.#open.size;
  }

  /** Whether the connection of a request ever stood. */
  hasConnected({ socket }: ClientRequest): boolean {
    return socket !== null && this.#connected.has(socket);
  }

  /** Called by Node for each new connection. It counts a connection at once only when it is returned, not when it is handed over later. */
  override createConnection(): TLSSocket {
    const spare = this.#spare;
    this.#spare = undefined;
    if (spare !== undefined && !spare.destroyed) return spare;
    const socket = this.parts.connector.open(this.parts.origin, ['http/1.1']);
    this.#watch(socket);
    return socket;
  }

  override destroy(): void {
    for (const socket of this.#open) socket.destroy();
    super.destroy();
  }

  #watch(socket: TLSSocket): void {
    socket.once('secureConnect', () => this.#onConnected(socket));
    socket.once('close', () => this.#open.delete(socket));
  }

  #onConnected(socket: TLSSocket): void {
    this.#open.add(socket);
    this.#connected.add(socket);
  }
}
