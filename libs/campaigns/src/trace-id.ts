import { randomBytes } from 'node:crypto';

const TRACEPARENT = /^00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/;
const TRACE_ID_BYTES = 16;
const SPAN_ID_BYTES = 8;

/** The trace id of a W3C `traceparent`; `null` where there is none. */
export function traceIdOf(traceparent: string | null): string | null {
  return TRACEPARENT.exec(traceparent ?? '')?.[1] ?? null;
}

/**
 * A `traceparent` of a trace that nobody records (flags 00): where no tracing is set up, each run has an id all the same by which logs and
 * other systems can refer to it.
 */
export function unrecordedTraceparent(): string {
  return `00-${randomBytes(TRACE_ID_BYTES).toString('hex')}-${randomBytes(SPAN_ID_BYTES).toString('hex')}-00`;
}
