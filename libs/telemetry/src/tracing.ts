import {
  type Attributes,
  context,
  type Context,
  isSpanContextValid,
  type Link,
  propagation,
  ProxyTracerProvider,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type TimeInput,
  trace,
} from '@opentelemetry/api';
import { BelfryError } from '#contracts';
import { ATTRIBUTE } from './semconv.js';

export { SpanKind };

const TRACER_NAME = 'belfry';
const TRACEPARENT = 'traceparent';
/** Version 00 of https://www.w3.org/TR/trace-context/#traceparent-header, which is what this process writes. */
const TRACEPARENT_PATTERN = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;
/** Links of one span; the SDK would drop more. */
const SPAN_LINKS_MAX = 128;

/** How a span is made. */
export interface SpanRequest {
  readonly attributes?: Attributes;
  readonly kind?: SpanKind;
  /** Other spans that caused this one, as `traceparent` texts: the records of a batch, the plan of a chunk. */
  readonly links?: readonly (string | undefined)[];
  /** The parent; without it the active span is the parent. */
  readonly parent?: Context;
  /** Begins a trace of its own instead: what caused it is linked. */
  readonly startsTrace?: boolean;
}

/** A span of something that is over already, or took no time. */
export interface PastSpan extends SpanRequest {
  /** Now when left out. */
  readonly startedAt?: TimeInput;
  /** Stable code of a failure: marks the span as failed. */
  readonly failure?: string;
}

/** False while no SDK is registered: whoever would collect something for spans need not. */
export function isTracing(): boolean {
  const provider = trace.getTracerProvider();
  return !(provider instanceof ProxyTracerProvider) || provider.getDelegateTracer(TRACER_NAME) !== undefined;
}

/**
 * Runs `work` inside a span that is active meanwhile and ends with it. A rejection marks the span as failed and is passed on.
 * Costs next to nothing when no SDK is registered.
 */
export async function withSpan<Result>(
  name: string,
  request: SpanRequest,
  work: (span: Span) => Promise<Result> | Result,
): Promise<Result> {
  return trace.getTracer(TRACER_NAME).startActiveSpan(name, optionsOf(request), parentOf(request), async (span) => {
    try {
      return await work(span);
    } catch (error) {
      recordFailure(span, error);
      throw error;
    } finally {
      span.end();
    }
  });
}

/** Adds a span for something that is over. */
export function addSpan(name: string, past: PastSpan): void {
  const options = { ...optionsOf(past), ...(past.startedAt === undefined ? {} : { startTime: past.startedAt }) };
  const span = trace.getTracer(TRACER_NAME).startSpan(name, options, parentOf(past));
  if (past.failure !== undefined) markFailed(span, past.failure);
  span.end();
}

/** Starts a span that is not active; whoever starts it ends it. */
export function startSpan(name: string, request: SpanRequest): Span {
  return trace.getTracer(TRACER_NAME).startSpan(name, optionsOf(request), parentOf(request));
}

/** Runs `work` in a context, for logs that belong to a trace without a span of this process. */
export function runInContext<Result>(parent: Context, work: () => Result): Result {
  return context.with(parent, work);
}

/** Runs `work` outside of every trace: a loop that somebody's request woke up works for others too. */
export function detached<Result>(work: () => Result): Result {
  return context.with(ROOT_CONTEXT, work);
}

/** The active span as a W3C `traceparent` header value; `undefined` outside any sampled or unsampled trace. */
export function currentTraceparent(): string | undefined {
  const carrier: Record<string, string> = {};
  propagation.inject(context.active(), carrier);
  return carrier[TRACEPARENT];
}

/** A context whose active span is the remote one named by `traceparent`; the root context for anything malformed. */
export function contextFromTraceparent(traceparent: string | undefined): Context {
  const [, traceId, spanId, flags] = TRACEPARENT_PATTERN.exec(traceparent ?? '') ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return ROOT_CONTEXT;
  const spanContext = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
  return isSpanContextValid(spanContext) ? trace.setSpanContext(ROOT_CONTEXT, spanContext) : ROOT_CONTEXT;
}

/** The ids of the active span, for logs; `undefined` when no trace is active. */
export function activeTraceIds(): { trace_id: string; span_id: string } | undefined {
  const spanContext = trace.getActiveSpan()?.spanContext();
  return spanContext === undefined ? undefined : { trace_id: spanContext.traceId, span_id: spanContext.spanId };
}

/** Names a span of this process to others. */
export function traceparentOf(span: Span): string | undefined {
  const carrier: Record<string, string> = {};
  propagation.inject(trace.setSpan(ROOT_CONTEXT, span), carrier);
  return carrier[TRACEPARENT];
}

/**
 * Marks a span as failed. An error is named by its code or class alone: its message may quote values. The log event with the same trace id
 * has the rest.
 */
export function recordFailure(span: Span, error: unknown): void {
  if (error instanceof BelfryError) markFailed(span, error.facts.code, error.facts.title);
  else markFailed(span, nameOf(error));
}

function markFailed(span: Span, type: string, title = type): void {
  span.setAttribute(ATTRIBUTE.errorType, type);
  span.setStatus({ code: SpanStatusCode.ERROR, message: title });
}

function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  return 'code' in error && typeof error.code === 'string' ? `${error.name} ${error.code}` : error.name;
}

function optionsOf({ kind = SpanKind.INTERNAL, attributes = {}, links = [] }: SpanRequest) {
  return { kind, attributes, links: linksTo(links) };
}

function parentOf({ parent, startsTrace = false }: SpanRequest): Context {
  return startsTrace ? ROOT_CONTEXT : (parent ?? context.active());
}

function linksTo(traceparents: readonly (string | undefined)[]): Link[] {
  return [...new Set(traceparents)]
    .slice(0, SPAN_LINKS_MAX)
    .map((traceparent) => trace.getSpanContext(contextFromTraceparent(traceparent)))
    .filter((spanContext) => spanContext !== undefined)
    .map((spanContext) => ({ context: spanContext }));
}
