import type { ServerResponse } from 'node:http';
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
    reply.raw.once('close', () => {
      inFlight.finished();
      logRequest(logger, request, isAnswered(reply.raw) ? reply.raw.statusCode : undefined, reply.elapsedTime);
    });
  });
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
