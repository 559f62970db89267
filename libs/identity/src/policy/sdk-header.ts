import type { FastifyRequest } from 'fastify';

/** The header in which a client library names itself and its version, for example `belfry-web/0.1.0`. */
export const SDK_HEADER = 'x-belfry-sdk';

/** What the client library calls itself; nothing of it is trusted. */
export function sdkOf(request: Pick<FastifyRequest, 'headers'>): string | undefined {
  const named = request.headers[SDK_HEADER];
  return typeof named === 'string' ? named : undefined;
}
