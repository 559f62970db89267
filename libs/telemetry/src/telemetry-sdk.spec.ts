import { createServer } from 'node:http';
import { propagation, trace } from '@opentelemetry/api';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { countMetric, observeMetric, recordMetric } from './metrics.js';
import { flushTelemetry, renderMetrics } from './telemetry-handle.js';
import { startSdk } from './telemetry-sdk.js';
import { contextFromTraceparent, currentTraceparent, withSpan } from './tracing.js';
import { createWideLogger } from './wide-logger.js';

const REMOTE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

it('costs nothing and gives no trace before the SDK is started', async () => {
  expect(currentTraceparent()).toBeUndefined();
  expect(await renderMetrics()).toBeUndefined();
  await flushTelemetry();
  expect(await withSpan('idle', {}, () => currentTraceparent())).toBeUndefined();
});

describe('with the SDK', () => {
  const received: { url: string | undefined; bytes: number }[] = [];
  const collector = createServer((request, response) => {
    let bytes = 0;
    request.on('data', (chunk: Buffer) => (bytes += chunk.length));
    request.on('end', () => {
      received.push({ url: request.url, bytes });
      response.writeHead(200).end();
    });
  });

  beforeAll(async () => {
    await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
    const address = collector.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    const endpoint = `http://127.0.0.1:${address.port}`;
    // The SDK reads its exporters' variables by itself.
    vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', endpoint);
    await startSdk({ OTEL_METRICS_EXPORTER: 'prometheus', OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }, '/apps/gateway/src/main.js');
  });

  afterAll(() => {
    vi.unstubAllEnvs();
    collector.closeAllConnections();
    collector.close();
  });

  it('keeps the trace of a traceparent that came out of a row or a record', async () => {
    const seen = await withSpan('deliver', { parent: contextFromTraceparent(REMOTE) }, () => currentTraceparent());
    expect(seen).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01$/);
    expect(seen).not.toBe(REMOTE);
  });

  it('starts a trace of its own for a malformed traceparent', async () => {
    const seen = await withSpan('deliver', { parent: contextFromTraceparent('00-zz'), links: ['junk', REMOTE, undefined] }, () =>
      currentTraceparent(),
    );
    expect(seen).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    expect(seen).not.toContain('0af7651916cd43dd8448eb211c80319c');
  });

  it('passes a failure on', async () => {
    await expect(withSpan('broken', {}, () => Promise.reject(new TypeError('no')))).rejects.toThrow('no');
    expect(trace.getActiveSpan()).toBeUndefined();
    expect(propagation.fields()).toContain('traceparent');
  });

  it('mixes the ids of the active span into log events', async () => {
    const lines: string[] = [];
    const logger = createWideLogger({
      service: 'test',
      level: 'info',
      format: 'json',
      destination: { write: (line) => void lines.push(line) },
    });
    const traceparent = await withSpan('work', {}, () => {
      logger.info('work.done');
      return currentTraceparent();
    });
    const { trace_id: traceId, span_id: spanId } = JSON.parse(lines[0] ?? '') as Record<string, string>;
    expect(traceparent).toBe(`00-${traceId}-${spanId}-01`);
  });

  it('renders counters, histograms and gauges in the Prometheus text format', async () => {
    countMetric('deadLetters', 2, { reason: 'poison' });
    recordMetric('deliveryDuration', 0.3, { channel: 'inbox' });
    observeMetric('outboxPending', (result) => result.observe(7));
    const text = await renderMetrics();
    expect(text).toMatch(/belfry_dead_letters_total\{reason="poison".*\} 2/);
    expect(text).toMatch(/belfry_delivery_duration_seconds_bucket\{.*le="0.5".*\} 1/);
    expect(text).toMatch(/belfry_outbox_pending.* 7/);
    expect(text).toContain('nodejs_eventloop_delay_p99_seconds ');
  });

  it('sends the spans that wait when it is flushed', async () => {
    await withSpan('last', {}, () => undefined);
    await flushTelemetry();
    expect(received).toContainEqual({ url: '/v1/traces', bytes: expect.any(Number) });
  });
});
