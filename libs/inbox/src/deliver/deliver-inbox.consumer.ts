import { Controller } from '@nestjs/common';
import { Ctx, Payload } from '@nestjs/microservices';
import { inboxDeliveryRequestedUrgentV1, inboxDeliveryRequestedV1, type DeliveryRequested } from '#contracts';
import { ConsumeBatch, type BatchContext, type ReceivedEvent, withRecordSpan } from '#event-log';
import { ATTRIBUTE, countMetric, recordMetric, WideLogger } from '#telemetry';
import { DeliverInbox, type DeliveryOutcome } from './deliver-inbox.js';
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
    private readonly traceDeliveries: TraceDeliveries,
    private readonly log: WideLogger,
  ) {}

  @ConsumeBatch(inboxDeliveryRequestedV1, {
    group: 'inbox-delivery.deliver-inbox',
    concurrency: BULK_CONCURRENCY,
    batchRecordsMax: BULK_BATCH_RECORDS_MAX,
  })
  async deliverBulk(@Payload() events: readonly ReceivedEvent<DeliveryRequested>[], @Ctx() context: BatchContext): Promise<void> {
    await this.deliverEach(events, context);
  }

  @ConsumeBatch(inboxDeliveryRequestedUrgentV1, {
    group: 'inbox-delivery.deliver-inbox-urgent',
    concurrency: URGENT_CONCURRENCY,
    batchRecordsMax: URGENT_BATCH_RECORDS_MAX,
  })
  async deliverUrgent(@Payload() events: readonly ReceivedEvent<DeliveryRequested>[], @Ctx() context: BatchContext): Promise<void> {
    await this.deliverEach(events, context);
  }

  private async deliverEach(events: readonly ReceivedEvent<DeliveryRequested>[], context: BatchContext): Promise<void> {
    for (const received of events) {
      await context.heartbeat();
      await withRecordSpan('deliver inbox batch', received, attributesOf(received.event), () => this.deliverOne(received, context));
      context.finished(received.offset);
    }
  }

  private async deliverOne({ event, appendedAt }: ReceivedEvent<DeliveryRequested>, context: BatchContext): Promise<void> {
    const startedMs = performance.now();
    const outcome = await this.deliverInbox.deliver(event, context, (deliveries) => this.traceDeliveries.show(event, deliveries));
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

const INBOX = { [ATTRIBUTE.channel]: 'inbox' };

function attributesOf({ environment_id, chunk, recipient_ids }: DeliveryRequested) {
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
