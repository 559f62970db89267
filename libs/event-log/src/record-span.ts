import type { Attributes, Span } from '@opentelemetry/api';
import { contextFromTraceparent, currentTraceparent, withSpan } from '#telemetry';
import type { ReceivedEvent } from './consume-batch.js';

/** What is done for one record, in the record's own trace, whatever else came in its batch. */
export async function withRecordSpan<Result>(
  name: string,
  received: ReceivedEvent<unknown>,
  attributes: Attributes,
  work: (span: Span) => Promise<Result>,
): Promise<Result> {
  const { traceparent } = received;
  return withSpan(name, { attributes, ...(traceparent !== undefined && { parent: contextFromTraceparent(traceparent) }) }, work);
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
