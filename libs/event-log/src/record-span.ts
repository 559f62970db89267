import type { Attributes, Span } from '@opentelemetry/api';
import {
  contextFromTraceparent,
  currentTraceparent,
  isTracing,
  recordFailure,
  type SpanRequest,
  startSpan,
  traceparentOf,
  withSpan,
} from '#telemetry';
import type { ReceivedEvent } from './consume-batch.js';

/** What is done for one record, in the record's own trace, whatever else came in its batch. */
export async function withRecordSpan<Result>(
  name: string,
  received: ReceivedEvent<unknown>,
  attributes: Attributes,
  work: (span: Span) => Promise<Result>,
): Promise<Result> {
  return withSpan(name, requestOf(received, attributes), work);
}

/**
 * What is done for several records at once: a span in the trace of each, whatever else came in its batch. A rejection marks them all as
 * failed and is passed on.
 *
 * @param work is told how to name the span of a record, for what comes of it
 */
export async function withRecordSpans<Received extends ReceivedEvent<unknown>, Result>(
  name: string,
  records: readonly Received[],
  attributesOf: (received: Received) => Attributes,
  work: (traceparentOfRecord: (received: Received) => string | undefined) => Promise<Result>,
): Promise<Result> {
  if (!isTracing()) return work(({ traceparent }) => traceparent);
  const spans = new Map(records.map((received) => [received, startSpan(name, requestOf(received, attributesOf(received)))]));
  try {
    return await work((received) => {
      const span = spans.get(received);
      return span === undefined ? received.traceparent : traceparentOf(span);
    });
  } catch (error) {
    for (const span of spans.values()) recordFailure(span, error);
    throw error;
  } finally {
    for (const span of spans.values()) span.end();
  }
}

/** As `withRecordSpan` for topics whose records begin traces of their own (`startsTrace`): the trace links to where the record came from. */
export async function withRecordTrace<Result>(
  name: string,
  received: ReceivedEvent<unknown>,
  attributes: Attributes,
  work: (span: Span) => Promise<Result>,
): Promise<Result> {
  return withSpan(name, { attributes, startsTrace: true, links: [received.headers['traceparent'], currentTraceparent()] }, work);
}

function requestOf({ traceparent }: ReceivedEvent<unknown>, attributes: Attributes): SpanRequest {
  return { attributes, ...(traceparent !== undefined && { parent: contextFromTraceparent(traceparent) }) };
}
