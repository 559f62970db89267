import type { Attributes, Span } from '@opentelemetry/api';
import { contextFromTraceparent, currentTraceparent, recordFailure, type SpanRequest, startSpan, withSpan } from '#telemetry';
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

/** A record and the span of the work for it. */
export interface RecordSpan<Received> {
  readonly received: Received;
  readonly span: Span;
}

/**
 * What is done for several records at once: a span in the trace of each, whatever else came in its batch. They are over when the work is; a
 * rejection marks them all as failed and is passed on.
 */
export async function withRecordSpans<Received extends ReceivedEvent<unknown>, Result>(
  name: string,
  records: readonly Received[],
  attributesOf: (received: Received) => Attributes,
  work: (members: readonly RecordSpan<Received>[]) => Promise<Result>,
): Promise<Result> {
  const members = records.map((received) => ({ received, span: startSpan(name, requestOf(received, attributesOf(received))) }));
  try {
    return await work(members);
  } catch (error) {
    for (const { span } of members) recordFailure(span, error);
    throw error;
  } finally {
    for (const { span } of members) span.end();
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
