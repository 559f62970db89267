import { Controller } from '@nestjs/common';
import { Ctx, Payload } from '@nestjs/microservices';
import {
  inboxDeliveryRequestedUrgentV1,
  inboxDeliveryRequestedV1,
  isOfChunk,
  type ChunkDeliveryRequested,
  type DeliveryRequested,
} from '#contracts';
import { ConsumeBatch, type BatchContext, type ReceivedEvent, withRecordSpan, withRecordSpans } from '#event-log';
import {
  ATTRIBUTE,
  contextFromTraceparent,
  countMetric,
  recordFailure,
  recordMetric,
  runInContext,
  traceparentOf,
  WideLogger,
} from '#telemetry';
import { InboxMessageUndeliverableError, type InboxFailureReason } from '../inbox.errors.js';
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

  /**
   * Batches of runs one after the other, single messages all together, whatever topic they came by.
   *
   * @throws InboxMessageUndeliverableError when a single message cannot be delivered; all others are finished then
   */
  private async deliverAll(events: readonly ReceivedEvent<DeliveryRequested>[], context: BatchContext): Promise<void> {
    for (const received of events) {
      const { event } = received;
      if (!isOfChunk(event)) continue;
      await context.heartbeat();
      await withRecordSpan(SPAN_NAME, received, attributesOf(received), () => this.deliverChunk(event, received, context));
      context.finished(received.offset);
    }
    const singles = events.filter(({ event }) => !isOfChunk(event));
    let failure: InboxMessageUndeliverableError | undefined;
    for (const environmentId of new Set(singles.map(({ event }) => event.environment_id))) {
      const own = singles.filter(({ event }) => event.environment_id === environmentId);
      failure = (await this.deliverSingles(environmentId, own, context)) ?? failure;
    }
    if (failure !== undefined) throw failure;
  }

  private async deliverChunk(
    event: ChunkDeliveryRequested,
    received: ReceivedEvent<DeliveryRequested>,
    context: BatchContext,
  ): Promise<void> {
    const startedMs = performance.now();
    const outcome = await this.deliverInbox.deliver(event, context, (deliveries) => this.traceDeliveries.show(event, deliveries));
    this.show(received, outcome, { duration_ms: Math.round(performance.now() - startedMs) });
  }

  /** Finishes those that have an outcome which stays; the failure of one of the others is given back. */
  private async deliverSingles(
    environmentId: string,
    singles: readonly ReceivedEvent<DeliveryRequested>[],
    context: BatchContext,
  ): Promise<InboxMessageUndeliverableError | undefined> {
    await context.heartbeat();
    const startedMs = performance.now();
    return withRecordSpans(SPAN_NAME, singles, attributesOf, async (members) => {
      const requests = members.map((member) => ({
        ...member,
        event: member.received.event,
        traceparent: traceparentOf(member.span) ?? member.received.traceparent,
      }));
      const settled = await this.deliverSingleMessages.deliver(environmentId, requests, context);
      const shared = { duration_ms: Math.round(performance.now() - startedMs), messages: singles.length };
      let failure: InboxMessageUndeliverableError | undefined;
      for (const { request, outcome } of settled) {
        const [reason] = Object.keys(outcome.failed) as InboxFailureReason[];
        // The log event of its dead letter tells of one that cannot be delivered.
        if (reason === undefined || outcome.inserted > 0) {
          runInContext(contextFromTraceparent(request.traceparent), () => this.show(request.received, outcome, shared));
        }
        if (reason === undefined) context.finished(request.received.offset);
        else recordFailure(request.span, (failure = new InboxMessageUndeliverableError(reason)));
      }
      return failure;
    });
  }

  /** @param took how long, and for how many messages at once */
  private show(
    { event, appendedAt }: ReceivedEvent<DeliveryRequested>,
    outcome: DeliveryOutcome,
    took: { readonly duration_ms: number; readonly messages?: number },
  ): void {
    countOutcome(outcome);
    if (outcome.decision !== 'drop') recordMetric('deliveryDuration', (Date.now() - appendedAt.getTime()) / 1_000, INBOX);
    this.log.info('inbox.batch.delivered', {
      environment_id: event.environment_id,
      run_id: event.chunk?.run_id,
      chunk_no: event.chunk?.chunk_no,
      message_key: event.message_key,
      recipients: event.recipient_ids.length,
      ...outcome,
      ...took,
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
