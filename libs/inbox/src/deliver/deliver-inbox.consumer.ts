import { Controller } from '@nestjs/common';
import { Ctx, Payload } from '@nestjs/microservices';
import { inboxDeliveryRequestedUrgentV1, inboxDeliveryRequestedV1, type DeliveryRequested } from '#contracts';
import { ConsumeBatch, type BatchContext, type ReceivedEvent, withRecordSpan, withRecordSpans } from '#event-log';
import { ATTRIBUTE, contextFromTraceparent, countMetric, recordMetric, runInContext, WideLogger } from '#telemetry';
import { InboxMessageUndeliverableError, type InboxFailureReason } from '../inbox.errors.js';
import { isOfChunk, type ChunkRequest } from './chunk-request.js';
import { DeliverInbox, type DeliveryOutcome } from './deliver-inbox.js';
import { DeliverSingleMessages } from './deliver-single-messages.js';
import { TraceDeliveries } from './trace-deliveries.js';

/** Partitions of campaigns handled at once: two connections fill two cores, more gain nothing. */
const BULK_CONCURRENCY = 2;
/** A bulk record holds up to 1,000 recipients: a short hand-over keeps pause and cancel quick. */
const BULK_BATCH_RECORDS_MAX = 4;
/** Partitions of single messages handled at once, beside the campaigns. */
const URGENT_CONCURRENCY = 4;
const URGENT_BATCH_RECORDS_MAX = 50;

/** Takes delivery requests from the log, campaigns and single messages apart, so that neither waits for the other. */
@Controller()
export class DeliverInboxConsumer {
  constructor(
    private readonly deliverInbox: DeliverInbox,
    private readonly deliverSingleMessages: DeliverSingleMessages,
    private readonly traceDeliveries: TraceDeliveries,
    private readonly log: WideLogger,
  ) {}

  @ConsumeBatch(inboxDeliveryRequestedV1, {
    group: 'inbox-delivery.deliver-inbox',
    concurrency: BULK_CONCURRENCY,
    batchRecordsMax: BULK_BATCH_RECORDS_MAX,
  })
  async deliverBulk(@Payload() events: readonly ReceivedEvent<DeliveryRequested>[], @Ctx() context: BatchContext): Promise<void> {
    await this.deliverAll(events, context);
  }

  @ConsumeBatch(inboxDeliveryRequestedUrgentV1, {
    group: 'inbox-delivery.deliver-inbox-urgent',
    concurrency: URGENT_CONCURRENCY,
    batchRecordsMax: URGENT_BATCH_RECORDS_MAX,
  })
  async deliverUrgent(@Payload() events: readonly ReceivedEvent<DeliveryRequested>[], @Ctx() context: BatchContext): Promise<void> {
    await this.deliverAll(events, context);
  }

  /** Batches of runs one after the other, single messages all together, whatever topic they came by. */
  private async deliverAll(events: readonly ReceivedEvent<DeliveryRequested>[], context: BatchContext): Promise<void> {
    for (const received of events) {
      const { event } = received;
      if (!isOfChunk(event)) continue;
      await context.heartbeat();
      await withRecordSpan(SPAN_NAME, received, attributesOf(received), () => this.deliverChunk(event, received, context));
      context.finished(received.offset);
    }
    const singles = events.filter(({ event }) => !isOfChunk(event));
    if (singles.length > 0) await this.deliverSingles(singles, context);
  }

  private async deliverChunk(event: ChunkRequest, received: ReceivedEvent<DeliveryRequested>, context: BatchContext): Promise<void> {
    const startedMs = performance.now();
    const outcome = await this.deliverInbox.deliver(event, context, (deliveries) => this.traceDeliveries.show(event, deliveries));
    this.show(received, outcome, startedMs);
  }

  /** @throws InboxMessageUndeliverableError when one of them cannot be delivered; all others are finished then */
  private async deliverSingles(singles: readonly ReceivedEvent<DeliveryRequested>[], context: BatchContext): Promise<void> {
    await context.heartbeat();
    const startedMs = performance.now();
    const outcomes = await withRecordSpans(SPAN_NAME, singles, attributesOf, (traceparentOf) => {
      const requests = singles.map((received) => ({ event: received.event, traceparent: traceparentOf(received) }));
      return this.deliverSingleMessages.deliver(requests, context);
    });
    let failure: InboxMessageUndeliverableError | undefined;
    for (const [index, received] of singles.entries()) {
      const outcome = outcomes[index];
      if (outcome === undefined) continue;
      const [reason] = Object.keys(outcome.failed) as InboxFailureReason[];
      if (reason === undefined) {
        runInContext(contextFromTraceparent(received.traceparent), () => this.show(received, outcome, startedMs));
        context.finished(received.offset);
      } else failure ??= new InboxMessageUndeliverableError(reason);
    }
    if (failure !== undefined) throw failure;
  }

  private show({ event, appendedAt }: ReceivedEvent<DeliveryRequested>, outcome: DeliveryOutcome, startedMs: number): void {
    countOutcome(outcome);
    if (outcome.decision !== 'drop') recordMetric('deliveryDuration', (Date.now() - appendedAt.getTime()) / 1_000, INBOX);
    this.log.info('inbox.batch.delivered', {
      environment_id: event.environment_id,
      run_id: event.chunk?.run_id,
      chunk_no: event.chunk?.chunk_no,
      message_key: event.message_key,
      recipients: event.recipient_ids.length,
      ...outcome,
      duration_ms: Math.round(performance.now() - startedMs),
    });
  }
}

const SPAN_NAME = 'deliver inbox batch';
const INBOX = { [ATTRIBUTE.channel]: 'inbox' };

function attributesOf({ event: { environment_id, chunk, recipient_ids } }: ReceivedEvent<DeliveryRequested>) {
  return {
    ...INBOX,
    [ATTRIBUTE.environmentId]: environment_id,
    [ATTRIBUTE.recipients]: recipient_ids.length,
    ...(chunk === undefined ? {} : { [ATTRIBUTE.runId]: chunk.run_id, [ATTRIBUTE.chunkNo]: chunk.chunk_no }),
  };
}

function countOutcome({ inserted, failed, expired, cancelled }: DeliveryOutcome): void {
  const count = (amount: number, outcome: string, reason?: string) => {
    const attributes = { ...INBOX, [ATTRIBUTE.outcome]: outcome, ...(reason === undefined ? {} : { [ATTRIBUTE.reason]: reason }) };
    if (amount > 0) countMetric('deliveries', amount, attributes);
  };
  count(inserted, 'delivered');
  count(expired, 'expired');
  count(cancelled, 'cancelled');
  for (const [reason, amount] of Object.entries(failed)) count(amount, 'failed', reason);
}
