import type { FastifyRequest } from 'fastify';

/** Answers of the API show nothing and run nothing in a browser. */
const API_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/** The pages under /docs run their own scripts and calls, nothing foreign. */
const DOCS_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/** Headers that each answer carries unless its route sets them otherwise. */
export function securityHeaders(request: FastifyRequest): Record<string, string> {
  const isDocs = request.url === '/docs' || request.url.startsWith('/docs/');
  return {
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    'cross-origin-resource-policy': 'same-origin',
    'content-security-policy': isDocs ? DOCS_POLICY : API_POLICY,
    'cache-control': 'no-store',
    ...(request.protocol === 'https' ? { 'strict-transport-security': 'max-age=31536000; includeSubDomains' } : {}),
  };
}
