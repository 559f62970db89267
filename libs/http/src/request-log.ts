import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { WideLogger } from '#telemetry';

/** Routes that machines ask every few seconds; they are logged at debug level. */
const QUIET_ROUTES: ReadonlySet<string> = new Set(['/health/live', '/health/ready', '/metrics']);

const SWITCHING_PROTOCOLS = 101;

/** Pause between two looks at the requests in flight. */
const DRAIN_POLL_MS = 20;

/** Counts the requests that are being answered, event streams included. */
export class RequestsInFlight {
  private count = 0;

  started(): void {
    this.count += 1;
  }

  finished(): void {
    this.count -= 1;
  }

  /** Resolves when only open event streams are left; rejects when `signal` is aborted before. */
  async drained(countStreams: () => number, signal: AbortSignal): Promise<void> {
    while (this.count > countStreams()) await delay(DRAIN_POLL_MS, undefined, { signal });
  }
}

/** Writes one wide event per answered request: never its query, its body or its credentials. */
export function logRequests(instance: FastifyInstance, logger: WideLogger, inFlight: RequestsInFlight): void {
  instance.addHook('onRequest', async (request, reply) => {
    inFlight.started();
    onceOver(request.raw.socket, reply.raw, () => {
      inFlight.finished();
      logRequest(logger, request, isAnswered(reply.raw) ? reply.raw.statusCode : undefined, reply.elapsedTime);
    });
  });
}

/** What is called when a connection ends, for each of its answers that are not over. */
const unfinishedOf = new WeakMap<Socket, Set<() => void>>();

/**
 * Calls back once when an answer is over, or its connection is. Of answers that wait behind another one (pipelining) Node says nothing when
 * the connection ends before their turn.
 */
function onceOver(socket: Socket, answer: ServerResponse, callback: () => void): void {
  let unfinished = unfinishedOf.get(socket);
  if (unfinished === undefined) {
    const ofSocket = new Set<() => void>();
    unfinished = ofSocket;
    unfinishedOf.set(socket, ofSocket);
    socket.once('close', () => {
      for (const over of ofSocket) over();
    });
  }
  const pending = unfinished;
  const over = (): void => {
    if (pending.delete(over)) callback();
  };
  pending.add(over);
  answer.once('close', over);
}

/** A WebSocket has its answer with its first bytes and is no exchange that could be incomplete. */
function isAnswered({ writableEnded, statusCode }: ServerResponse): boolean {
  return writableEnded || statusCode === SWITCHING_PROTOCOLS;
}

/** @param status `undefined` when the client left before the answer was complete. */
function logRequest(logger: WideLogger, request: FastifyRequest, status: number | undefined, elapsedMs: number): void {
  const route = request.routeOptions.url ?? 'unknown';
  const fields = {
    request_id: request.id,
    method: request.method,
    route,
    ...(status === undefined ? { aborted: true } : { status }),
    duration_ms: Math.round(elapsedMs),
  };
  if (QUIET_ROUTES.has(route)) logger.debug('http.request.served', fields);
  else logger.info('http.request.served', fields);
}
