/**
 * The TLS server of one lane: HTTP/2 and HTTP/1.1 by ALPN, and the ways in which a connection can fail.
 *
 * A session that said GOAWAY keeps the promise that lies in it: streams above the last one that it named are never processed.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  constants,
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type Http2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { BODY_BYTES_MAX } from './check-request.js';
import type { PushServiceFault } from './push-service-types.js';
import type { TestCertificate } from './test-certificate.js';

/** A request as the service's rules see it. */
export interface IncomingPush {
  readonly method: string;
  /** Path and query, as they came. */
  readonly path: string;
  readonly httpVersion: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Cut off one byte behind the largest allowed size. */
  readonly body: Buffer;
}

/** What the listener sends back: an answer, or none. */
export type PushAnswer =
  | { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: string }
  | { readonly fault: PushServiceFault };

export interface PushListenerOptions {
  readonly certificate: TestCertificate;
  readonly protocols: readonly ('h2' | 'http/1.1')[];
  readonly streamsMax: number;
  /** Decides at once, so that what a GOAWAY says is true; the delay is waited for by the listener. */
  readonly onPush: (push: IncomingPush) => { readonly answer: PushAnswer; readonly delayMs: number };
}

type Request = IncomingMessage | Http2ServerRequest;
type Response = ServerResponse | Http2ServerResponse;

export class PushListener {
  readonly #server: Http2SecureServer | HttpsServer;
  readonly #sockets = new Map<number, Socket>();
  readonly #delays = new Set<NodeJS.Timeout>();
  /** The highest stream that a session processed, and the last one that its GOAWAY named. */
  readonly #streams = new WeakMap<Http2Session, { processed: number; last: number }>();
  #connections = 0;

  constructor(private readonly options: PushListenerOptions) {
    const { certificate, protocols, streamsMax } = options;
    const { key, cert } = certificate;
    const settings = { maxConcurrentStreams: streamsMax };
    this.#server = protocols.includes('h2')
      ? createSecureServer({ key, cert, settings, allowHTTP1: protocols.includes('http/1.1') })
      : createHttpsServer({ key, cert });
    this.#server.on('connection', (socket: Socket) => this.#track(socket));
    this.#server.on('request', (request: Request, response: Response) => this.#onRequest(request, response));
    // Clients that break off are part of the game.
    for (const event of ['sessionError', 'tlsClientError', 'clientError', 'error']) this.#server.on(event, ignore);
  }

  get connections(): number {
    return this.#connections;
  }

  get openConnections(): number {
    return this.#sockets.size;
  }

  /** @returns the port, on 127.0.0.1 */
  async listen(): Promise<number> {
    await new Promise<void>((resolve) => {
      this.#server.listen(0, '127.0.0.1', resolve);
    });
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    for (const timer of this.#delays) clearTimeout(timer);
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    for (const socket of this.#sockets.values()) socket.destroy();
    await closed;
  }

  #track(socket: Socket): void {
    const port = socket.remotePort ?? 0;
    this.#connections += 1;
    this.#sockets.set(port, socket);
    socket.once('close', () => this.#sockets.delete(port));
  }

  #onRequest(request: Request, response: Response): void {
    response.on('error', ignore);
    request.on('error', ignore);
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      if (bytes <= BODY_BYTES_MAX) chunks.push(chunk);
      bytes += chunk.length;
    });
    request.on('end', () => {
      const body = Buffer.concat(chunks).subarray(0, BODY_BYTES_MAX + 1);
      this.#onBody({ request, response }, body);
    });
  }

  #onBody({ request, response }: { request: Request; response: Response }, body: Buffer): void {
    if ('stream' in response && this.#isPastGoaway(response.stream)) return response.stream.close(constants.NGHTTP2_REFUSED_STREAM);
    const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, joined(value)]));
    const { method = '', url: path = '', httpVersion } = request;
    const { answer, delayMs } = this.options.onPush({ method, path, httpVersion, headers, body });
    const isUnprocessed = 'fault' in answer && (answer.fault === 'goaway' || answer.fault === 'refuse_stream');
    if (!isUnprocessed) this.#noteProcessed(response);
    if (delayMs === 0) return this.#send({ request, response }, answer);
    const timer = setTimeout(() => {
      this.#delays.delete(timer);
      this.#send({ request, response }, answer);
    }, delayMs);
    this.#delays.add(timer);
  }

  #send({ request, response }: { request: Request; response: Response }, answer: PushAnswer): void {
    if ('fault' in answer) return this.#fail({ request, response }, answer.fault);
    if ('stream' in response && response.stream.destroyed) return;
    response.statusCode = answer.status;
    for (const [name, value] of Object.entries(answer.headers)) response.setHeader(name, value);
    response.end(answer.body);
  }

  #fail({ request, response }: { request: Request; response: Response }, fault: PushServiceFault): void {
    if (fault === 'no_answer') return;
    const socket = this.#sockets.get(request.socket.remotePort ?? 0);
    if (fault === 'reset' || fault === 'lost_answer') return void socket?.resetAndDestroy();
    if (!('stream' in response)) return void socket?.destroy();
    const { stream } = response;
    if (fault === 'goaway' && stream.session !== undefined) {
      const known = this.#streamsOf(stream.session);
      known.last = Math.min(known.last, known.processed);
      stream.session.goaway(constants.NGHTTP2_NO_ERROR, known.last);
    }
    stream.close(constants.NGHTTP2_REFUSED_STREAM);
  }

  #isPastGoaway({ session, id }: ServerHttp2Stream): boolean {
    return session === undefined || (id ?? 0) > this.#streamsOf(session).last;
  }

  #noteProcessed(response: Response): void {
    if (!('stream' in response) || response.stream.session === undefined) return;
    const known = this.#streamsOf(response.stream.session);
    known.processed = Math.max(known.processed, response.stream.id ?? 0);
  }

  #streamsOf(session: Http2Session): { processed: number; last: number } {
    const known = this.#streams.get(session) ?? { processed: 0, last: Number.POSITIVE_INFINITY };
    this.#streams.set(session, known);
    return known;
  }
}

function joined(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value;
}

function ignore(): void {}
