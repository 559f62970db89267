import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { PassThrough, pipeline, Readable } from 'node:stream';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ConfigOf } from '#config';
import { newUuid } from '#contracts';
import { HEARTBEAT_MS_MAX } from './event-stream.js';
import type { httpConfig } from './http.config.js';
import {
  BodyTooLargeError,
  ContentEncodingUnsupportedError,
  HeadersTooLargeError,
  MediaTypeUnsupportedError,
  RequestRefusedError,
  RequestTimeoutError,
  UrlInvalidError,
  ValidationFailedError,
} from './http.errors.js';
import { parseJson } from './json-body.js';
import { classifyError, PROBLEM_MEDIA_TYPE, toProblem } from './problem.js';
import { sendProblem } from './problem.filter.js';
import { type BelfryRouteConfig, JSON_TYPES } from './route-config.js';
import { trackRoutes } from './route-table.js';
import { securityHeaders } from './security-headers.js';
import { routeUpgrades } from './upgrades.js';
import { closeWebSockets } from './web-socket.js';

/** Bytes of one request's headers, the URL included. */
const HEADER_BYTES_MAX = 16_384;

/** Characters of a URL. */
const URL_CHARACTERS_MAX = 8_192;

/** Characters of one path parameter, percent-encoded. */
const PATH_PARAMETER_CHARACTERS_MAX = 1_024;

/** Time without any byte in either direction after which a connection is closed; event streams send heartbeats more often. */
const CONNECTION_IDLE_MS_MAX = 2 * HEARTBEAT_MS_MAX;

/**
 * How many looks for overdue headers fall into the time that they may take, so that they are up to a quarter late. Node's one look in 30 s
 * would make shorter limits meaningless; more of them would wake a process at rest.
 */
const TIMEOUT_CHECKS = 4;

/** Content types that routes may take as a stream. */
const STREAMED_TYPES = ['application/x-ndjson', 'text/csv'] as const;

/** RFC 9110 section 15.5.18. */
const EXPECTATION_FAILED = 417;

const JSON_TYPE = 'application/json';

const REQUEST_ID_PATTERN = /^[\w.:+/=-]{8,128}$/;

/**
 * Makes the HTTP server: limits against slow, huge and malformed requests, JSON parsing that only lets storable documents through,
 * request ids, security headers.
 */
export function createHttpAdapter(config: ConfigOf<typeof httpConfig>): FastifyAdapter {
  const adapter = new FastifyAdapter({
    bodyLimit: config.bodyBytesMax,
    // The time of a body is limited per route by `limitBodyTime`: a streamed upload may take as long as bytes keep coming.
    requestTimeout: 0,
    keepAliveTimeout: config.keepAliveTimeoutMs,
    connectionTimeout: CONNECTION_IDLE_MS_MAX,
    http: {
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: config.headersTimeoutMs,
      connectionsCheckingInterval: Math.ceil(config.headersTimeoutMs / TIMEOUT_CHECKS),
      // Node would refuse such requests without a body; `acceptRequest` does it with one.
      requireHostHeader: false,
    },
    trustProxy: config.trustProxy,
    requestIdHeader: false,
    genReqId: requestIdOf,
    return503OnClosing: false,
    // Clients that join paths leave a slash at the end; it means nothing.
    routerOptions: { maxParamLength: PATH_PARAMETER_CHARACTERS_MAX, ignoreTrailingSlash: true },
    frameworkErrors: (error: Error, request: FastifyRequest, reply: FastifyReply) => {
      void reply.headers({ ...securityHeaders(request), 'x-request-id': request.id });
      sendProblem(reply, classifyError(error), request.id);
    },
    clientErrorHandler: refuseConnection,
  });
  const instance = adapter.getInstance<FastifyInstance>();
  instance.server.maxConnections = config.connectionsMax;
  instance.server.on('checkExpectation', refuseExpectation);
  trackRoutes(instance);
  routeUpgrades(instance);
  instance.addHook('preClose', () => closeWebSockets(instance));
  addBodyParsers(instance);
  instance.addHook('onRoute', (route) => {
    const { bodyBytesMax } = (route.config ?? {}) as BelfryRouteConfig;
    if (bodyBytesMax !== undefined) route.bodyLimit = bodyBytesMax;
  });
  instance.addHook('onRequest', acceptRequest);
  instance.addHook('preValidation', async (request) => refuseMissingStream(request));
  instance.addHook('onRequest', async (request, reply) => limitBodyTime(request, reply, config.requestTimeoutMs));
  return adapter;
}

/** A client may bring its own request id when it is sane; else it gets a new one. */
function requestIdOf(request: Pick<IncomingMessage, 'headers'>): string {
  const brought = request.headers['x-request-id'];
  return typeof brought === 'string' && REQUEST_ID_PATTERN.test(brought) ? brought : newUuid();
}

/** Runs before anything else: headers that each answer carries, and refusals that need no route. */
async function acceptRequest(request: FastifyRequest, reply: FastifyReply): Promise<void> {
  void reply.headers({ ...securityHeaders(request), 'x-request-id': request.id });
  if (request.headers.host === undefined && request.raw.httpVersion === '1.1') throw new RequestRefusedError('The Host header is missing.');
  if (request.raw.url !== undefined && request.raw.url.length > URL_CHARACTERS_MAX) throw new UrlInvalidError('The URL is too long.');
  if (request.raw.url?.includes('%00') === true) throw new UrlInvalidError('The URL contains a NUL character.');
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') throw new ContentEncodingUnsupportedError();
}

/** Cuts a client off that does not finish the body of its request in time; streamed bodies are only held to the idle limit. */
function limitBodyTime(request: FastifyRequest, reply: FastifyReply, timeoutMs: number): void {
  const { raw } = request;
  const hasBody = raw.headers['content-length'] !== undefined || raw.headers['transfer-encoding'] !== undefined;
  const { streamedTypes } = request.routeOptions.config as BelfryRouteConfig;
  if (!hasBody || raw.complete || streamedTypes !== undefined) return;
  const timer = setTimeout(() => {
    if (raw.complete) return;
    // A second answer would be taken for that of the next request.
    if (reply.raw.writableEnded) raw.destroy();
    else refuseConnection(Object.assign(new Error('body timeout'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' }), raw.socket);
  }, timeoutMs);
  raw.once('end', () => clearTimeout(timer));
  raw.once('close', () => clearTimeout(timer));
}

function addBodyParsers(instance: FastifyInstance): void {
  instance.removeAllContentTypeParsers();
  instance.addContentTypeParser([JSON_TYPE, ...JSON_TYPES], { parseAs: 'buffer' }, (request, body, done) => {
    try {
      done(null, parseBody(request, body as Buffer));
    } catch (error) {
      done(error as Error);
    }
  });
  instance.addContentTypeParser([...STREAMED_TYPES], (request, payload, done) => {
    try {
      done(null, streamBody(request, payload));
    } catch (error) {
      done(error as Error);
    }
  });
}

/** An empty body counts as none: many clients announce JSON on every request. */
function parseBody(request: FastifyRequest, body: Buffer): unknown {
  const { streamedTypes, jsonTypes = [], takesAnyText = false } = request.routeOptions.config as BelfryRouteConfig;
  const taken: readonly string[] = streamedTypes ?? [JSON_TYPE, ...jsonTypes];
  if (!taken.includes(mediaTypeOf(request))) throw new MediaTypeUnsupportedError(`This route takes ${taken.join(' or ')}.`);
  return body.length === 0 ? undefined : parseJson(body, { anyText: takesAnyText });
}

function streamBody(request: FastifyRequest, payload: Readable): Readable {
  const { streamedTypes = [], bodyBytesMax = 0 } = request.routeOptions.config as BelfryRouteConfig;
  if (!streamedTypes.includes(mediaTypeOf(request))) throw new MediaTypeUnsupportedError('This route takes application/json.');
  return limitBytes(payload, bodyBytesMax);
}

/**
 * A route that reads a stream must be given one; it may be empty, and is none where not even its type is said. The refusal comes when the
 * route begins to read: who may not call it at all is told that first.
 */
function refuseMissingStream(request: FastifyRequest): void {
  const { streamedTypes } = request.routeOptions.config as BelfryRouteConfig;
  if (streamedTypes === undefined || request.body !== undefined || streamedTypes.includes(mediaTypeOf(request))) return;
  const message = `a body of ${streamedTypes.join(' or ')} is required`;
  const refusal = new ValidationFailedError([{ pointer: '', code: 'missing', message }]);
  request.body = new Readable({
    read() {
      this.destroy(refusal);
    },
  });
}

/** The content type without its parameters. */
function mediaTypeOf(request: FastifyRequest): string {
  return request.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

/** Passes bytes on and fails with `BodyTooLargeError` after `bytesMax` of them. */
function limitBytes(source: Readable, bytesMax: number): Readable {
  let bytes = 0;
  const limited = new PassThrough({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      if (bytes > bytesMax) done(new BodyTooLargeError(`The body is larger than ${bytesMax} bytes.`));
      else done(null, chunk);
    },
  });
  // The reader of `limited` gets the error; without a callback here it would be thrown a second time.
  return pipeline(source, limited, () => undefined);
}

/** Answers a request that expects something else than `100-continue`, which Node hands over before any route. */
function refuseExpectation(request: IncomingMessage, response: ServerResponse): void {
  const problem = toProblem(
    new RequestRefusedError('The Expect header may only ask for 100-continue.'),
    requestIdOf(request),
    EXPECTATION_FAILED,
  );
  response.writeHead(EXPECTATION_FAILED, { 'content-type': PROBLEM_MEDIA_TYPE, 'x-request-id': problem.request_id, connection: 'close' });
  response.end(JSON.stringify(problem));
}

/** Answers what is not even HTTP, or came too slowly, on the bare socket. */
function refuseConnection(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  const refusal = refusalOf(error.code);
  const body = JSON.stringify(toProblem(refusal, newUuid()));
  if (socket.writable) {
    socket.write(
      `HTTP/1.1 ${refusal.facts.httpStatus} ${refusal.facts.title}\r\ncontent-type: ${PROBLEM_MEDIA_TYPE}\r\n` +
        `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
    );
  }
  socket.destroySoon();
}

function refusalOf(code: string | undefined) {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new RequestTimeoutError('The request did not arrive in time.');
  if (code === 'HPE_HEADER_OVERFLOW') return new HeadersTooLargeError(`The request headers are larger than ${HEADER_BYTES_MAX} bytes.`);
  return new RequestRefusedError('The request is not valid HTTP.');
}
