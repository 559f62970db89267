/**
 * Spans of work that is done for several traces at once: a handler call on a batch of records, one append of many outbox rows, one claim
 * of many deliveries.
 *
 * The work runs in one span. When everything in the batch comes from one place, that span is its child, so that a single message stays one
 * trace. Otherwise the span begins a trace of its own which links to all that came together, and each of their traces gets a span of the
 * same name, which links back: a hop. Whatever is done for one of them later in the batch belongs below its hop.
 */
import { type Attributes, type Span } from '@opentelemetry/api';
import {
  contextFromTraceparent,
  currentTraceparent,
  isTracing,
  recordFailure,
  type SpanKind,
  startSpan,
  traceparentOf,
  withSpan,
} from './tracing.js';

/** Traces of one batch that get a hop of their own; as many as one span can link to. */
export const HOPS_MAX = 128;

/** What a batch span is made of. */
export interface BatchSpanRequest {
  readonly kind?: SpanKind;
  readonly attributes: Attributes;
  /** Where each member of the batch comes from; repeats are merged. */
  readonly traceparents: () => readonly (string | undefined)[];
  /** The members begin traces of their own: the batch joins none of theirs and leaves no hop there. */
  readonly startsTrace?: boolean;
}

/** Tells below which span (a traceparent) the work for a member belongs, by where the member comes from. */
export type HopOf = (traceparent: string | undefined) => string | undefined;

const WITHOUT_HOPS: HopOf = (traceparent) => traceparent;

/** Runs `work` in the span of a batch. Costs next to nothing while no SDK is registered. */
export async function withBatchSpan<Result>(
  name: string,
  request: BatchSpanRequest,
  work: (hopOf: HopOf) => Promise<Result>,
): Promise<Result> {
  if (!isTracing()) return work(WITHOUT_HOPS);
  const { kind, attributes, startsTrace = false } = request;
  const origins = [...new Set(request.traceparents())];
  if (startsTrace) return withSpan(name, { kind, attributes, links: origins, startsTrace }, () => work(WITHOUT_HOPS));
  const [only] = origins;
  if (origins.length <= 1) {
    return withSpan(name, { kind, attributes, parent: contextFromTraceparent(only) }, () => {
      const hop = currentTraceparent();
      return work(() => hop);
    });
  }
  return withSpan(name, { kind, attributes, links: origins, startsTrace: true }, (span) =>
    withHops(name, { kind, attributes, origins, batch: traceparentOf(span) }, work),
  );
}

async function withHops<Result>(
  name: string,
  batch: { kind: SpanKind | undefined; attributes: Attributes; origins: readonly (string | undefined)[]; batch: string | undefined },
  work: (hopOf: HopOf) => Promise<Result>,
): Promise<Result> {
  const { kind, attributes, origins } = batch;
  const hops = new Map<string, Span>();
  for (const origin of origins.filter((known) => known !== undefined).slice(0, HOPS_MAX)) {
    hops.set(origin, startSpan(name, { kind, attributes, links: [batch.batch], parent: contextFromTraceparent(origin) }));
  }
  try {
    return await work((origin) => {
      const hop = origin === undefined ? undefined : hops.get(origin);
      return hop === undefined ? origin : traceparentOf(hop);
    });
  } catch (error) {
    for (const hop of hops.values()) recordFailure(hop, error);
    throw error;
  } finally {
    for (const hop of hops.values()) hop.end();
  }
}
