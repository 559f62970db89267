import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Environment, isOriginAllowed } from '#tenancy';
import { OriginNotAllowedError } from '../identity.errors.js';

const ALLOW_ORIGIN = 'access-control-allow-origin';

/** What of a request tells where its page comes from. */
export type OriginRequest = Pick<FastifyRequest, 'headers' | 'host'>;

/** The page that makes a request, as its browser names it. */
export interface PageOrigin {
  readonly origin: string;
  /** This server itself delivered the page: it was loaded from the host that the request goes to. */
  readonly isOwn: boolean;
}

/** The page of a request; `undefined` where the request comes from no script of a page. */
export function pageOriginOf({ headers: { origin }, host }: OriginRequest): PageOrigin | undefined {
  return origin === undefined ? undefined : { origin, isOwn: isSameOrigin(origin, host) };
}

/**
 * May the page that makes this request act for the environment? Requests without Origin do not come from a page's script, and pages
 * that this server itself delivers need no permission. Takes back the CORS header of a page that may not, so that it cannot read the answer.
 * @throws OriginNotAllowedError
 */
export function admitOrigin(environment: Pick<Environment, 'kind' | 'allowedOrigins'>, request: OriginRequest, reply: FastifyReply): void {
  const page = pageOriginOf(request);
  if (page === undefined || isOriginAllowed(environment, page.origin) || page.isOwn) return;
  reply.removeHeader(ALLOW_ORIGIN);
  throw new OriginNotAllowedError();
}

/** Lets a page of this origin read the answer. */
export function announceOrigin(origin: string, reply: FastifyReply): void {
  reply.header(ALLOW_ORIGIN, origin);
  reply.header('access-control-expose-headers', 'Retry-After, X-Request-Id, WWW-Authenticate');
}

/** True for a page that was loaded from the host that the request goes to. A proxy may have ended TLS, so the scheme does not count. */
export function isSameOrigin(origin: string, host: string): boolean {
  return URL.canParse(origin) && new URL(origin).host === host;
}
