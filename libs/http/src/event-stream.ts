import type { OutgoingHttpHeaders } from 'node:http';
import { applyDecorators, HttpCode } from '@nestjs/common';
import { ApiResponse, type ApiResponseOptions } from '@nestjs/swagger';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { z } from 'zod';
import { countMetric } from '#telemetry';
import { isStorableText } from './text-schema.js';

/** Time between two heartbeats when the caller does not say. */
export const HEARTBEAT_MS_DEFAULT = 15_000;

/** Longest time between two heartbeats: the server closes connections on which nothing happens for twice as long. */
export const HEARTBEAT_MS_MAX = 60_000;

/** Bytes that may wait for a slow reader before it is cut off. */
export const STREAM_BUFFER_BYTES_MAX = 256 * 1_024;

/** Heartbeats that a reader may miss: after that many without taking anything it is cut off. */
const STALLED_HEARTBEATS_MAX = 4;

/** Shortest wait before a client reconnects; up to as much again is added at random, so that clients do not return all at once. */
const RECONNECT_MS_MIN = 2_000;

const EVENT_STREAM_TYPE = 'text/event-stream';

/** What the last event says of the end. */
const closingSchema = z.object({ reason: z.string() });

type ApiResponseContent = NonNullable<Extract<ApiResponseOptions, { content?: unknown }>['content']>;

/** One event of a stream. */
export interface StreamEvent {
  /** Sent back by the client as Last-Event-ID after a reconnect. */
  readonly id?: string;
  readonly event: string;
  /** Sent as JSON. */
  readonly data: unknown;
}

/** How a stream behaves. */
export interface EventStreamOptions {
  readonly heartbeatMs?: number;
  readonly bufferBytesMax?: number;
}

/** An open answer of server-sent events. */
export interface EventStream {
  /** Writes one event. False when the stream is closed, also when this very event overfilled the buffer of a slow reader. */
  send(event: StreamEvent): boolean;
  /** Called once, however the stream ends; at once when it has ended. */
  onClose(callback: () => void): void;
  /** Ends the stream in order. */
  close(): void;
  /** Aborted when the stream has ended. */
  readonly signal: AbortSignal;
}

const streamsByServer = new WeakMap<object, Set<SseStream>>();

/**
 * Turns a reply into a stream of server-sent events. The route must take the reply with `@Res()` and send nothing else itself.
 * Proxies are told not to buffer or transform; a comment is sent as heartbeat. A reader that does not keep up is cut off (it
 * reconnects with Last-Event-ID) instead of filling this process's memory. All streams end with a hint at shutdown.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export function openEventStream(reply: FastifyReply, options: EventStreamOptions = {}): EventStream {
  const streams = streamsOf(reply.server);
  const stream = new SseStream(reply, options);
  streams.add(stream);
  stream.onClose(() => streams.delete(stream));
  stream.open();
  return stream;
}

/**
 * Documents the answer of a route that opens a stream: the schema is that of one event, whose `data` is JSON.
 *
 * @param events what each event carries, by its name. `closing` comes before an orderly end of each stream and need not be named.
 */
export function ReturnsEventStream(events: Readonly<Record<string, z.ZodType>>, description: string): MethodDecorator {
  const anyOf = Object.entries({ ...events, closing: closingSchema }).map(([event, data]) => ({
    type: 'object',
    required: ['event', 'data'],
    properties: { id: { type: 'string' }, event: { const: event }, data: jsonTextOf(data) },
  }));
  const content = { [EVENT_STREAM_TYPE]: { schema: { description: 'One event of the stream.', anyOf } } };
  return applyDecorators(HttpCode(200), ApiResponse({ status: 200, description, content: content as ApiResponseContent }));
}

/** A schema with an id is a component of the document, put there by the routes that answer with it. */
function jsonTextOf(schema: z.ZodType): object {
  const { id } = schema.meta() ?? {};
  const { $schema: _dialect, ...definition } = z.toJSONSchema(schema, { io: 'output' });
  const contentSchema = id === undefined ? definition : { $ref: `#/components/schemas/${id}` };
  return { type: 'string', contentMediaType: 'application/json', contentSchema };
}

/** How many streams a server has open. */
export function countEventStreams(server: FastifyInstance): number {
  return streamsOf(server).size;
}

/** Ends all streams of a server and tells the clients to reconnect elsewhere. */
export function closeEventStreams(server: FastifyInstance): void {
  for (const stream of streamsOf(server)) stream.closeForShutdown();
}

/** The streams of one server. Plugins see derived instances; their `server` property, Node's HTTP server, is one and the same. */
function streamsOf(instance: FastifyInstance): Set<SseStream> {
  let streams = streamsByServer.get(instance.server);
  if (streams === undefined) {
    streams = new Set();
    streamsByServer.set(instance.server, streams);
  }
  return streams;
}

class SseStream implements EventStream {
  private readonly ended = new AbortController();
  private readonly heartbeatMs: number;
  private readonly bufferBytesMax: number;
  private heartbeat: NodeJS.Timeout | undefined;
  private stalledHeartbeats = 0;

  constructor(
    private readonly reply: FastifyReply,
    options: EventStreamOptions,
  ) {
    this.heartbeatMs = options.heartbeatMs ?? HEARTBEAT_MS_DEFAULT;
    this.bufferBytesMax = options.bufferBytesMax ?? STREAM_BUFFER_BYTES_MAX;
  }

  get signal(): AbortSignal {
    return this.ended.signal;
  }

  open(): void {
    const { raw } = this.reply;
    this.reply.hijack();
    // The client left while the route prepared the stream: its leaving was told before anybody here listened.
    if (raw.destroyed) return this.end();
    raw.on('close', () => this.end());
    raw.on('error', () => this.end());
    raw.writeHead(200, {
      ...(this.reply.getHeaders() as OutgoingHttpHeaders),
      'content-type': `${EVENT_STREAM_TYPE}; charset=utf-8`,
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
    });
    // An answer without a body is not sent before its end.
    if (this.reply.request.method === 'HEAD') return this.close();
    this.write(`retry: ${reconnectMs()}\n\n`);
    this.heartbeat = setInterval(() => this.beat(), this.heartbeatMs);
    this.heartbeat.unref();
  }

  send(event: StreamEvent): boolean {
    const id = event.id === undefined ? '' : `id: ${oneLine(event.id)}\n`;
    return this.write(`${id}event: ${oneLine(event.event)}\ndata: ${JSON.stringify(event.data)}\n\n`);
  }

  onClose(callback: () => void): void {
    if (this.signal.aborted) callback();
    else this.signal.addEventListener('abort', callback, { once: true });
  }

  close(): void {
    if (this.signal.aborted) return;
    this.reply.raw.end();
    this.end();
  }

  closeForShutdown(): void {
    this.write(`retry: ${reconnectMs()}\nevent: closing\ndata: {"reason":"shutting_down"}\n\n`);
    this.close();
  }

  private write(text: string): boolean {
    if (this.signal.aborted) return false;
    this.reply.raw.write(text);
    if (this.reply.raw.writableLength > this.bufferBytesMax) this.cutOff();
    return !this.signal.aborted;
  }

  private beat(): void {
    this.stalledHeartbeats = this.reply.raw.writableNeedDrain ? this.stalledHeartbeats + 1 : 0;
    if (this.stalledHeartbeats >= STALLED_HEARTBEATS_MAX) this.cutOff();
    else this.write(': heartbeat\n\n');
  }

  private cutOff(): void {
    countMetric('eventStreamsCut', 1);
    this.reply.raw.destroy();
    this.end();
  }

  private end(): void {
    clearInterval(this.heartbeat);
    this.ended.abort();
  }
}

function reconnectMs(): number {
  return RECONNECT_MS_MIN + Math.floor(Math.random() * RECONNECT_MS_MIN);
}

/** Ids and names are ours; a line break in one would forge a field. */
function oneLine(text: string): string {
  if (/[\r\n]/.test(text) || !isStorableText(text)) throw new Error('The id and the name of a stream event must be one line of text.');
  return text;
}
