import { context, propagation, trace } from '@opentelemetry/api';
import { NodeSDK, tracing } from '@opentelemetry/sdk-node';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type BatchSpanRequest, HOPS_MAX, withBatchSpan } from './batch-span.js';
import { contextFromTraceparent, currentTraceparent, withSpan } from './tracing.js';

const spans = new tracing.InMemorySpanExporter();

function traceparent(number: number): string {
  return `00-${String(number).padStart(32, 'a')}-${String(number).padStart(16, 'b')}-01`;
}

function traceIdOf(text: string | undefined): string {
  return text?.split('-')[1] ?? '';
}

function request(...traceparents: (string | undefined)[]): BatchSpanRequest {
  return { attributes: { batch: traceparents.length }, traceparents: () => traceparents };
}

/** Another spec file of this process may have left its SDK registered. */
function unregister(): void {
  for (const api of [trace, context, propagation]) api.disable();
}

beforeAll(unregister);

it('asks for nothing and runs the work while nothing is traced', async () => {
  const untouched = { attributes: {}, traceparents: () => expect.fail('asked') };
  expect(await withBatchSpan('process', untouched, async (hopOf) => hopOf('origin'))).toBe('origin');
});

describe('withBatchSpan', () => {
  const sdk = new NodeSDK({
    autoDetectResources: false,
    spanProcessors: [new tracing.SimpleSpanProcessor(spans)],
    metricReaders: [],
    logRecordProcessors: [],
  });
  beforeAll(() => sdk.start());
  beforeEach(() => spans.reset());
  afterAll(async () => {
    await sdk.shutdown();
    unregister();
  });

  it('stays in the trace of a batch that comes from one place', async () => {
    const origin = traceparent(1);
    const hop = await withBatchSpan('process', request(origin, origin), async (hopOf) => {
      expect(hopOf(origin)).toBe(currentTraceparent());
      return hopOf(origin);
    });
    expect(traceIdOf(hop)).toBe(traceIdOf(origin));
    expect(spans.getFinishedSpans()).toMatchObject([{ name: 'process', parentSpanContext: { spanId: origin.split('-')[2] }, links: [] }]);
  });

  it('begins a trace for a batch from several places and leaves a hop, linked to it, in each of theirs', async () => {
    const [first, second] = [traceparent(1), traceparent(2)];
    await withBatchSpan('process', request(first, second, undefined, first), async (hopOf) => {
      await withSpan('deliver', { parent: contextFromTraceparent(hopOf(second)) }, () => undefined);
      expect(hopOf(undefined)).toBeUndefined();
    });
    const finished = spans.getFinishedSpans();
    const batch = finished.find((span) => span.parentSpanContext === undefined);
    expect(batch?.links.map((link) => link.context.traceId)).toEqual([traceIdOf(first), traceIdOf(second)]);
    const hops = finished.filter((span) => span.name === 'process' && span !== batch);
    expect(hops.map((span) => span.spanContext().traceId)).toEqual([traceIdOf(first), traceIdOf(second)]);
    expect(hops.map((span) => span.links[0]?.context.spanId)).toEqual(Array(2).fill(batch?.spanContext().spanId));
    const work = finished.find((span) => span.name === 'deliver');
    expect(work?.parentSpanContext?.spanId).toBe(hops[1]?.spanContext().spanId);
  });

  it('joins none of the traces of members that begin their own', async () => {
    await withBatchSpan('process', { ...request(traceparent(1)), startsTrace: true }, async () => undefined);
    expect(spans.getFinishedSpans()).toMatchObject([
      { parentSpanContext: undefined, links: [{ context: { traceId: traceIdOf(traceparent(1)) } }] },
    ]);
  });

  it('marks batch and hops as failed, names the failure, and does not repeat its words', async () => {
    const failing = withBatchSpan('process', request(traceparent(1), traceparent(2)), () => Promise.reject(new TypeError('seed-secret')));
    await expect(failing).rejects.toThrow('seed-secret');
    const finished = spans.getFinishedSpans();
    expect(finished.map((span) => span.attributes['error.type'])).toEqual(['TypeError', 'TypeError', 'TypeError']);
    expect(JSON.stringify(finished.map(({ status, events, attributes }) => ({ status, events, attributes })))).not.toContain('seed-secret');
  });

  it('has a limit on hops, beyond which members keep their own place', async () => {
    const origins = Array.from({ length: HOPS_MAX + 2 }, (_, index) => traceparent(index + 1));
    const last = origins.at(-1);
    expect(await withBatchSpan('process', request(...origins), async (hopOf) => hopOf(last))).toBe(last);
    expect(spans.getFinishedSpans()).toHaveLength(HOPS_MAX + 1);
  });
});
