import { Controller } from '@nestjs/common';
import { Ctx, Payload } from '@nestjs/microservices';
import { inboxDeliveryRequestedUrgentV1, inboxDeliveryRequestedV1, type DeliveryRequested } from '#contracts';
import { ConsumeBatch, type BatchContext, type ReceivedEvent } from '#event-log';
import { WideLogger } from '#telemetry';
import { DeliverInbox } from './deliver-inbox.js';

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
    for (const { event, topic, partition, offset } of events) {
      await context.heartbeat();
      const startedMs = performance.now();
      const outcome = await this.deliverInbox.deliver(event, context);
      this.log.info('inbox.batch.delivered', {
        environment_id: event.environment_id,
        run_id: event.chunk?.run_id,
        chunk_no: event.chunk?.chunk_no,
        message_key: event.message_key,
        topic,
        partition,
        offset,
        recipients: event.recipient_ids.length,
        ...outcome,
        duration_ms: Math.round(performance.now() - startedMs),
      });
    }
  }
}
