import { context, propagation, trace } from '@opentelemetry/api';
import { NodeSDK, tracing } from '@opentelemetry/sdk-node';
import { BelfryConfig } from '#config';
import { newUuid, type DeliveryRequested } from '#contracts';
import { ContentStore } from '#content';
import { Outbox, type BatchContext, type ReceivedEvent } from '#event-log';
import { SubscriberStore } from '#subscribers';
import { createWideLogger, DeliverySampler, telemetryConfig } from '#telemetry';
import { createTestDatabase, FixedClock, type TestDatabase } from '#testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { InboxStore } from '../inbox.store.js';
import { InboxFixture } from '../testing/inbox-fixture.store.js';
import { DeliverInbox } from './deliver-inbox.js';
import { DeliverInboxConsumer } from './deliver-inbox.consumer.js';
import { DeliverSingleMessages } from './deliver-single-messages.js';
import { TraceDeliveries } from './trace-deliveries.js';

const NOW = '2026-11-22T12:00:00.000Z';
const PAST = '2026-11-22T11:59:59.999Z';
const FIRST_OFFSET = 100n;

/** A batch of single messages as the log hands it over, each of a trace of its own. */
function receive(events: readonly DeliveryRequested[]): ReceivedEvent<DeliveryRequested>[] {
  return events.map((event, index) => ({
    event,
    topic: 'inbox.delivery.requested.urgent.v1',
    partition: 0,
    offset: FIRST_OFFSET + BigInt(index),
    headers: {},
    appendedAt: new Date(),
    traceparent: `00-${String(index).padStart(32, 'a')}-${String(index).padStart(16, 'b')}-01`,
  }));
}

describe('the consumer of single messages', () => {
  const spans = new tracing.InMemorySpanExporter();
  const sdk = new NodeSDK({
    autoDetectResources: false,
    instrumentations: [],
    spanProcessors: [new tracing.SimpleSpanProcessor(spans)],
    metricReaders: [],
    logRecordProcessors: [],
  });
  let test: TestDatabase;
  let fixture: InboxFixture;
  let finished: number[];
  let logged: Record<string, unknown>[];

  beforeAll(async () => {
    // Another spec file of this process may have left its SDK registered.
    for (const api of [trace, context, propagation]) api.disable();
    sdk.start();
    test = await createTestDatabase();
  });
  afterAll(async () => {
    await test.close();
    await sdk.shutdown();
  });
  beforeEach(async () => {
    fixture = await InboxFixture.make(test.database);
    spans.reset();
    [finished, logged] = [[], []];
  });

  function consume(events: readonly DeliveryRequested[], store = new InboxStore(test.database)): Promise<void> {
    const { database } = test;
    const parts = [new ContentStore(database), new SubscriberStore(database), new Outbox(database), new FixedClock(NOW)] as const;
    const consumer = new DeliverInboxConsumer(
      new DeliverInbox(database, store, ...parts),
      new DeliverSingleMessages(database, store, ...parts),
      new TraceDeliveries(new DeliverySampler(BelfryConfig.load([telemetryConfig], {}))),
      createWideLogger({
        service: 'test',
        level: 'info',
        format: 'json',
        destination: { write: (line) => void logged.push(JSON.parse(line)) },
      }),
    );
    const batch = {
      signal: new AbortController().signal,
      heartbeat: () => Promise.resolve(),
      finished: (offset) => void finished.push(Number(offset - FIRST_OFFSET)),
    } satisfies BatchContext;
    return consumer.deliverUrgent(receive(events), batch);
  }

  const failedSpans = () => spans.getFinishedSpans().filter(({ status }) => status.message !== undefined);

  it('finishes whatever can be delivered and throws for the rest, which is marked as failed in its own trace', async () => {
    const other = await InboxFixture.make(test.database);
    const [anna = '', gone = ''] = await fixture.addSubscribers(2);
    const [ben = ''] = await other.addSubscribers(1);
    await fixture.removeSubscriber(gone);
    const contentId = await fixture.addContent({ title: 'Your code' });
    const events = [
      fixture.singleRequest({ contentId, subscriberId: anna }),
      fixture.singleRequest({ contentId, subscriberId: gone }),
      fixture.singleRequest({ contentId, subscriberId: anna, expiresAt: PAST }),
      fixture.singleRequest({ contentId, subscriberId: anna }),
      other.singleRequest({ contentId: await other.addContent({ title: 'Your code' }), subscriberId: ben }),
    ];
    await expect(consume(events)).rejects.toMatchObject({
      facts: { code: 'inbox_message_undeliverable' },
      details: { reason: 'subscriber_gone' },
    });
    expect(finished).toEqual([0, 2, 3, 4]);
    const spanOf = (index: number) => spans.getFinishedSpans()[index]?.spanContext();
    expect(logged).toMatchObject(
      [0, 2, 3, 4].map((index) => ({
        message_key: events[index]?.message_key,
        messages: index === 4 ? 1 : 4,
        trace_id: spanOf(index)?.traceId,
        span_id: spanOf(index)?.spanId,
      })),
    );
    expect(spans.getFinishedSpans()).toHaveLength(events.length);
    expect(failedSpans().map((span) => span.parentSpanContext?.spanId)).toEqual([String(1).padStart(16, 'b')]);
    const records = await test.database.query<{ traceparent: string }>({
      text: `SELECT headers->>'traceparent' AS traceparent FROM event_log.outbox
        WHERE convert_from(value, 'UTF8')::json->>'environment_id' = $1 ORDER BY outbox_id`,
      values: [fixture.environmentId],
    });
    const traceparentOf = (index: number) => `00-${spanOf(index)?.traceId}-${spanOf(index)?.spanId}-01`;
    expect(records.map(({ traceparent }) => traceparent)).toEqual([traceparentOf(0), traceparentOf(3)]);
  });

  it('names what is missing', async () => {
    const [anna = ''] = await fixture.addSubscribers(1);
    const missing = fixture.singleRequest({ contentId: newUuid(), subscriberId: anna });
    await expect(consume([missing])).rejects.toMatchObject({ details: { reason: 'content_missing' } });
    expect(finished).toEqual([]);
  });

  it('has finished one environment when Postgres fails for the next one', async () => {
    const other = await InboxFixture.make(test.database);
    const [[anna = ''], [ben = '']] = [await fixture.addSubscribers(1), await other.addSubscribers(1)];
    const own = fixture.singleRequest({ contentId: await fixture.addContent({ title: 'Your code' }), subscriberId: anna });
    const others = other.singleRequest({ contentId: await other.addContent({ title: 'Your code' }), subscriberId: ben });
    class FailingStore extends InboxStore {
      override async insertSingleMessages(
        ...[environmentId, ...rest]: Parameters<InboxStore['insertSingleMessages']>
      ): ReturnType<InboxStore['insertSingleMessages']> {
        if (environmentId === other.environmentId) throw new Error('lost');
        return super.insertSingleMessages(environmentId, ...rest);
      }
    }
    await expect(consume([own, others], new FailingStore(test.database))).rejects.toThrow('lost');
    expect(finished).toEqual([0]);
    expect(logged).toHaveLength(1);
    expect(failedSpans()).toHaveLength(1);
  });
});
