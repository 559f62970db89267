import type { FastifyReply, FastifyRequest } from 'fastify';
import type { WebFile } from './web-files.js';

/** The page and its worker run their own scripts and call their own gateway: nothing inline, nothing foreign, no frame around it. */
export const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; worker-src 'self'; manifest-src 'self'; " +
  "frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/** How a file is sent. */
export interface SendOptions {
  readonly cacheControl: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Answers with a file, compressed where the client takes it, or with 304 when the client has it. */
export function sendFile(request: FastifyRequest, reply: FastifyReply, file: WebFile, options: SendOptions): void {
  const takesGzip = acceptsGzip(request.headers['accept-encoding']);
  const etag = takesGzip ? file.etag.replace(/"$/, '-gz"') : file.etag;
  void reply.headers({
    'content-security-policy': PAGE_POLICY,
    ...options.headers,
    'cache-control': options.cacheControl,
    etag,
    vary: ['Accept-Encoding', reply.getHeader('vary')].flat().filter(Boolean).join(', '),
  });
  if (hasValidator(request.headers['if-none-match'], etag)) {
    void reply.code(304).send();
    return;
  }
  if (takesGzip) void reply.header('content-encoding', 'gzip');
  void reply.type(file.mediaType).send(takesGzip ? file.gzipped : file.bytes);
}

function acceptsGzip(header: string | string[] | undefined): boolean {
  return String(header ?? '')
    .split(',')
    .some((part) => /^\s*gzip\s*(;\s*q=(?!0(\.0*)?\s*$).*)?$/i.test(part));
}

function hasValidator(header: string | undefined, etag: string): boolean {
  return (header ?? '').split(',').some((part) => part.trim().replace(/^W\//, '') === etag);
}
