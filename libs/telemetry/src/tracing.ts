import {
  type Attributes,
  context,
  type Context,
  type Link,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import { ATTRIBUTE } from './semconv.js';

export { SpanKind };

const TRACER_NAME = 'belfry';
const TRACEPARENT = 'traceparent';

/** How a span is made. */
export interface SpanRequest {
  readonly attributes?: Attributes;
  readonly kind?: SpanKind;
  /** Other spans that caused this one, as `traceparent` texts: the records of a batch, the plan of a chunk. */
  readonly links?: readonly (string | undefined)[];
  /** The parent; without it the active span is the parent. */
  readonly parent?: Context;
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
  const options = { kind: request.kind ?? SpanKind.INTERNAL, attributes: request.attributes ?? {}, links: linksTo(request.links ?? []) };
  return trace.getTracer(TRACER_NAME).startActiveSpan(name, options, request.parent ?? context.active(), async (span) => {
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

/** The active span as a W3C `traceparent` header value; `undefined` outside any sampled or unsampled trace. */
export function currentTraceparent(): string | undefined {
  const carrier: Record<string, string> = {};
  propagation.inject(context.active(), carrier);
  return carrier[TRACEPARENT];
}

/** A context whose active span is the remote one named by `traceparent`; the root context for anything malformed. */
export function contextFromTraceparent(traceparent: string | undefined): Context {
  return traceparent === undefined ? ROOT_CONTEXT : propagation.extract(ROOT_CONTEXT, { [TRACEPARENT]: traceparent });
}

/** The ids of the active span, for logs; `undefined` when no trace is active. */
export function activeTraceIds(): { trace_id: string; span_id: string } | undefined {
  const spanContext = trace.getActiveSpan()?.spanContext();
  return spanContext === undefined ? undefined : { trace_id: spanContext.traceId, span_id: spanContext.spanId };
}

function linksTo(traceparents: readonly (string | undefined)[]): Link[] {
  return traceparents
    .map((traceparent) => trace.getSpanContext(contextFromTraceparent(traceparent)))
    .filter((spanContext) => spanContext !== undefined)
    .map((spanContext) => ({ context: spanContext }));
}

function recordFailure(span: Span, error: unknown): void {
  const failure = error instanceof Error ? error : new Error(String(error));
  span.recordException(failure);
  span.setAttribute(ATTRIBUTE.errorType, failure.name);
  span.setStatus({ code: SpanStatusCode.ERROR, message: failure.message });
}
