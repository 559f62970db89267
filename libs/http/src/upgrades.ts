/**
 * Upgrades to WebSockets as ordinary requests.
 *
 * Once a server listens for upgrades, Node hands over every request with an Upgrade header, before any route. A WebSocket's request is sent
 * the way of all others, with an answer object on its socket: so hooks, guards, errors, logs and traces are the same, and a refusal is a
 * problem document. The route that takes it calls `openWebSocket`. Everything else (HTTP clients that offer `h2c`) is read again as a
 * request without the offer, which a server is free to ignore (RFC 9110 section 7.8).
 */
import { type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import type { BelfryRouteConfig } from './route-config.js';

/** A WebSocket that is asked for: the connection, and what came in after the head of its request. */
export interface PendingUpgrade {
  readonly socket: Socket;
  readonly head: Buffer;
}

const pendingUpgrades = new WeakMap<IncomingMessage, PendingUpgrade>();

/** Headers that belong to the offer. A body's length stays: it is read again, too. */
const HOP_HEADERS: ReadonlySet<string> = new Set(['upgrade', 'connection', 'http2-settings']);

/** Listens for upgrades as soon as a route takes WebSockets; servers without such a route never do. Call before any route. */
export function routeUpgrades(instance: FastifyInstance): void {
  let isListening = false;
  instance.addHook('onRoute', (route) => {
    if (isListening || (route.config as BelfryRouteConfig | undefined)?.takesWebSockets !== true) return;
    isListening = true;
    instance.server.on('upgrade', (request, socket, head) => handleUpgrade(instance.server, request, { socket, head }));
  });
}

/** Takes the upgrade of a request; `undefined` when the request asks for none, or when it was taken before. */
export function takeUpgrade(request: IncomingMessage): PendingUpgrade | undefined {
  const pending = pendingUpgrades.get(request);
  pendingUpgrades.delete(request);
  return pending;
}

function handleUpgrade(server: Server, request: IncomingMessage, { socket: stream, head }: { socket: Duplex; head: Buffer }): void {
  const socket = stream as Socket;
  if (!isWebSocketRequest(request)) return readAgain(server, request, { socket, head });
  // Node took its own listeners off; without one a connection that breaks would end the process.
  socket.on('error', () => socket.destroy());
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  response.once('finish', () => socket.destroySoon());
  pendingUpgrades.set(request, { socket, head });
  server.emit('request', request, response);
}

function isWebSocketRequest({ method, headers }: IncomingMessage): boolean {
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
  return method === 'GET' && !hasBody && headers.upgrade?.trim().toLowerCase() === 'websocket';
}

/** Gives the connection back to the server with the same request, its offer left out. */
function readAgain(server: Server, request: IncomingMessage, { socket, head }: PendingUpgrade): void {
  const { method, url, httpVersion, rawHeaders } = request;
  const lines = [`${method} ${url} HTTP/${httpVersion}`];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    if (!HOP_HEADERS.has(name.toLowerCase())) lines.push(`${name}: ${rawHeaders[index + 1]}`);
  }
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]));
  server.emit('connection', socket);
}
