/**
 * WebSockets of a server, beside its event streams.
 *
 * Life: a route decides (throws before {@link openWebSocket}) -> open -> ended, by either side, by a reader that does not keep up, by one
 * that does not answer pings, or at shutdown. Texts are handled one at a time: while some wait, nothing more is read from the connection, so
 * that a client which asks faster than it is answered slows itself down and nobody else.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6455
 */
import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { type RawData, WebSocket, WebSocketServer } from 'ws';
import { countMetric } from '#telemetry';
import { HEARTBEAT_MS_DEFAULT, STREAM_BUFFER_BYTES_MAX } from './event-stream.js';
import { UpgradeRequiredError, WebSocketHandshakeInvalidError } from './http.errors.js';
import { takeUpgrade } from './upgrades.js';

/** Bytes of one message from a client; a longer one ends the connection (1009). */
export const WEB_SOCKET_MESSAGE_BYTES_MAX = 16 * 1_024;

/** Texts that wait for the one that is being handled before reading stops. */
const WAITING_TEXTS_MAX = 16;

/** Texts that had come already when reading stopped: one chunk of a connection may hold many. */
const FLOODING_TEXTS_MAX = 1_000;

/** Pings that a client may leave unanswered before it is cut off. */
const UNANSWERED_PINGS_MAX = 2;

/** Time in which a client must confirm the end. */
const CLOSE_MS_MAX = 1_000;

/** Why a connection ends. @see https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1 */
export const WEB_SOCKET_CLOSE = { normal: 1_000, goingAway: 1_001, unsupportedData: 1_003, policy: 1_008, internalError: 1_011 } as const;

/** 16 bytes in base64. */
const HANDSHAKE_KEY = /^[+/0-9A-Za-z]{22}==$/;
const HANDSHAKE_VERSION = '13';

/** How a connection behaves. */
export interface WebSocketOptions {
  readonly heartbeatMs?: number;
  readonly bufferBytesMax?: number;
}

/** An open connection. */
export interface WebSocketConnection {
  /** Writes one text. False when the connection has ended, also when this very text overfilled the buffer of a slow reader. */
  send(text: string): boolean;
  /** Handles the texts of the client one after the other; what it throws ends the connection (1011) and goes to `onError`. */
  handleTexts(handle: (text: string) => Promise<void>, onError: (error: unknown) => void): void;
  /** Called once, however the connection ends; at once when it has ended. */
  onClose(callback: () => void): void;
  /** Ends the connection in order. Nothing that comes in afterwards is handled. */
  close(code?: number, reason?: string): void;
}

const connectionsByServer = new WeakMap<object, Set<Connection>>();

const acceptor = new WebSocketServer({
  noServer: true,
  clientTracking: false,
  perMessageDeflate: false,
  maxPayload: WEB_SOCKET_MESSAGE_BYTES_MAX,
});

/**
 * Takes the upgrade of a request whose route was declared with `TakesWebSockets`. The route takes the reply with `@Res()` and sends nothing
 * itself.
 *
 * @throws UpgradeRequiredError, WebSocketHandshakeInvalidError
 */
export function openWebSocket(reply: FastifyReply, options: WebSocketOptions = {}): WebSocketConnection {
  assertHandshake(reply);
  const { raw: request } = reply.request;
  const upgrade = takeUpgrade(request);
  if (upgrade === undefined) throw new UpgradeRequiredError();
  reply.hijack();
  reply.raw.statusCode = 101;
  const connections = connectionsOf(reply.server);
  let connection: Connection | undefined;
  // The names that clients offer mean nothing here; `ws` would answer names that it cannot read by itself, and not with a problem.
  delete request.headers['sec-websocket-protocol'];
  acceptor.handleUpgrade(request, upgrade.socket, upgrade.head, (socket) => {
    connection = new Connection(socket, options);
    connections.add(connection);
  });
  // The client left while the route prepared the connection.
  if (connection === undefined) return ENDED;
  const opened = connection;
  opened.onClose(() => connections.delete(opened));
  return opened;
}

/**
 * Refuses a request that is no handshake, before the route does any work for it.
 * @throws UpgradeRequiredError, WebSocketHandshakeInvalidError
 */
export function assertHandshake(reply: FastifyReply): void {
  const { headers } = reply.request;
  if (!asksForWebSocket(reply.request.raw)) {
    void reply.headers({ upgrade: 'websocket', connection: 'close, Upgrade' });
    throw new UpgradeRequiredError();
  }
  if (headers['sec-websocket-version'] !== HANDSHAKE_VERSION) {
    void reply.header('sec-websocket-version', HANDSHAKE_VERSION);
    throw new WebSocketHandshakeInvalidError(`The version must be ${HANDSHAKE_VERSION}.`);
  }
  if (!HANDSHAKE_KEY.test(headers['sec-websocket-key'] ?? ''))
    throw new WebSocketHandshakeInvalidError('The key must be 16 bytes in base64.');
}

/** How many WebSockets a server has open. */
export function countWebSockets(server: FastifyInstance): number {
  return connectionsOf(server).size;
}

/** Ends all WebSockets of a server; those that do not confirm in time are cut off. */
export async function closeWebSockets(server: FastifyInstance): Promise<void> {
  await Promise.all([...connectionsOf(server)].map((connection) => connection.closeForShutdown()));
}

function asksForWebSocket({ method, headers }: IncomingMessage): boolean {
  return method === 'GET' && headers.upgrade?.trim().toLowerCase() === 'websocket';
}

/** The connections of one server. Plugins see derived instances; their `server` property, Node's HTTP server, is one and the same. */
function connectionsOf(instance: FastifyInstance): Set<Connection> {
  let connections = connectionsByServer.get(instance.server);
  if (connections === undefined) {
    connections = new Set();
    connectionsByServer.set(instance.server, connections);
  }
  return connections;
}

class Connection implements WebSocketConnection {
  private readonly ended = new AbortController();
  private readonly gone: Promise<void>;
  private readonly bufferBytesMax: number;
  private readonly heartbeat: NodeJS.Timeout;
  private unansweredPings = 0;

  constructor(
    private readonly socket: WebSocket,
    { heartbeatMs = HEARTBEAT_MS_DEFAULT, bufferBytesMax = STREAM_BUFFER_BYTES_MAX }: WebSocketOptions,
  ) {
    this.bufferBytesMax = bufferBytesMax;
    this.gone = new Promise((resolve) => {
      socket.once('close', () => resolve());
    });
    // `ws` answers broken frames itself and closes afterwards.
    socket.on('error', () => undefined);
    socket.on('close', () => this.end());
    socket.on('pong', () => void (this.unansweredPings = 0));
    this.heartbeat = setInterval(() => this.beat(), heartbeatMs);
    this.heartbeat.unref();
  }

  send(text: string): boolean {
    if (this.ended.signal.aborted) return false;
    this.socket.send(text);
    if (this.socket.bufferedAmount > this.bufferBytesMax) this.cutOff();
    return !this.ended.signal.aborted;
  }

  handleTexts(handle: (text: string) => Promise<void>, onError: (error: unknown) => void): void {
    let waiting = 0;
    let last = Promise.resolve();
    const handleOne = async (text: string): Promise<void> => {
      if (!this.ended.signal.aborted) {
        await handle(text).catch((error: unknown) => {
          onError(error);
          this.close(WEB_SOCKET_CLOSE.internalError);
        });
      }
      waiting -= 1;
      if (waiting < WAITING_TEXTS_MAX && this.socket.isPaused) this.socket.resume();
    };
    this.socket.on('message', (data: RawData, isBinary: boolean) => {
      if (this.ended.signal.aborted) return;
      if (isBinary) return this.close(WEB_SOCKET_CLOSE.unsupportedData, 'texts only');
      if (waiting >= FLOODING_TEXTS_MAX) return this.close(WEB_SOCKET_CLOSE.policy, 'too many messages');
      waiting += 1;
      if (waiting >= WAITING_TEXTS_MAX) this.socket.pause();
      const text = textOf(data);
      last = last.then(() => handleOne(text));
    });
  }

  onClose(callback: () => void): void {
    if (this.ended.signal.aborted) callback();
    else this.ended.signal.addEventListener('abort', callback, { once: true });
  }

  close(code: number = WEB_SOCKET_CLOSE.normal, reason = ''): void {
    if (this.ended.signal.aborted) return;
    // A paused connection would never see the client's confirmation.
    if (this.socket.isPaused) this.socket.resume();
    this.socket.close(code, reason);
    const timer = setTimeout(() => this.socket.terminate(), CLOSE_MS_MAX);
    timer.unref();
    void this.gone.then(() => clearTimeout(timer));
    this.end();
  }

  async closeForShutdown(): Promise<void> {
    this.close(WEB_SOCKET_CLOSE.goingAway, 'shutting down');
    await this.gone;
  }

  private beat(): void {
    if (this.unansweredPings >= UNANSWERED_PINGS_MAX) return this.cutOff();
    this.unansweredPings += 1;
    this.socket.ping();
  }

  private cutOff(): void {
    countMetric('eventStreamsCut', 1);
    this.socket.terminate();
    this.end();
  }

  private end(): void {
    clearInterval(this.heartbeat);
    this.ended.abort();
  }
}

/** Stands for a connection whose client left before it was open. */
const ENDED: WebSocketConnection = {
  send: () => false,
  handleTexts: () => undefined,
  onClose: (callback) => callback(),
  close: () => undefined,
};

function textOf(data: RawData): string {
  return Array.isArray(data) ? Buffer.concat(data).toString('utf8') : Buffer.from(data as ArrayBuffer).toString('utf8');
}
