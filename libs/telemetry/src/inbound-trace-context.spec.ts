import { defaultTextMapGetter, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { describe, expect, it } from 'vitest';
import { InboundTraceContext } from './inbound-trace-context.js';

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const TRACEPARENT = `00-${TRACE_ID}-b7ad6b7169203331-01`;

function traceIdOf(headers: Record<string, string>): string | undefined {
  return trace.getSpanContext(new InboundTraceContext().extract(ROOT_CONTEXT, headers, defaultTextMapGetter))?.traceId;
}

describe('InboundTraceContext', () => {
  it('continues the trace of a customer, who has an API key', () => {
    expect(traceIdOf({ authorization: 'Bearer sk_live_abc', traceparent: TRACEPARENT })).toBe(TRACE_ID);
  });

  it.each([
    ['nobody', {}],
    ['a browser with its session', { authorization: 'Bearer st_abc' }],
    ['a page with the public key', { authorization: 'Bearer pk_live_abc' }],
    ['another scheme', { authorization: 'Basic sk_live_abc' }],
    ['a key that is not at its place', { authorization: 'Bearer  x sk_live_abc' }],
  ])('lets %s choose no trace', (_who, headers) => {
    expect(traceIdOf({ host: 'belfry.example', ...headers, traceparent: TRACEPARENT })).toBeUndefined();
  });
});
