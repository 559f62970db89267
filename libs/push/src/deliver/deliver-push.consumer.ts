import { Controller } from '@nestjs/common';
import { Ctx, Payload } from '@nestjs/microservices';
import { pushDeliveryRequestedUrgentV1, pushDeliveryRequestedV1, type DeliveryRequested } from '#contracts';
import { ConsumeBatch, type BatchContext, type ReceivedEvent, withRecordSpan } from '#event-log';
import { ATTRIBUTE, WideLogger } from '#telemetry';
import type { PushLaneName } from '../push-delivery-state.js';
import { AcceptDelivery } from './accept-delivery.js';

/** Partitions of campaigns handled at once: accepting is one transaction a record, two connections keep ahead of any sender. */
const BULK_CONCURRENCY = 2;
/** A bulk record holds up to 1,000 recipients: a short hand-over keeps pause and cancel quick. */
const BULK_BATCH_RECORDS_MAX = 4;
/** Partitions of single messages handled at once, beside the campaigns. */
const URGENT_CONCURRENCY = 4;
const URGENT_BATCH_RECORDS_MAX = 50;

/** Takes delivery requests from the log, campaigns and single messages apart, so that neither waits for the other. */
@Controller()
export class DeliverPushConsumer {
  constructor(
    private readonly acceptDelivery: AcceptDelivery,
    private readonly log: WideLogger,
  ) {}

  @ConsumeBatch(pushDeliveryRequestedV1, {
    group: 'push-delivery.deliver-push',
    concurrency: BULK_CONCURRENCY,
    batchRecordsMax: BULK_BATCH_RECORDS_MAX,
  })
  async acceptBulk(@Payload() events: readonly ReceivedEvent<DeliveryRequested>[], @Ctx() context: BatchContext): Promise<void> {
    await this.acceptEach('bulk', events, context);
  }

  @ConsumeBatch(pushDeliveryRequestedUrgentV1, {
    group: 'push-delivery.deliver-push-urgent',
    concurrency: URGENT_CONCURRENCY,
    batchRecordsMax: URGENT_BATCH_RECORDS_MAX,
  })
  async acceptUrgent(@Payload() events: readonly ReceivedEvent<DeliveryRequested>[], @Ctx() context: BatchContext): Promise<void> {
    await this.acceptEach('urgent', events, context);
  }

  private async acceptEach(lane: PushLaneName, events: readonly ReceivedEvent<DeliveryRequested>[], context: BatchContext): Promise<void> {
    for (const received of events) {
      await context.heartbeat();
      await withRecordSpan('accept push batch', received, attributesOf(received.event), () => this.acceptOne(lane, received.event));
      context.finished(received.offset);
    }
  }

  private async acceptOne(lane: PushLaneName, event: DeliveryRequested): Promise<void> {
    const startedMs = performance.now();
    const outcome = await this.acceptDelivery.accept(event, lane);
    this.log.info('push.batch.accepted', {
      environment_id: event.environment_id,
      run_id: event.chunk?.run_id,
      chunk_no: event.chunk?.chunk_no,
      message_key: event.message_key,
      lane,
      recipients: event.recipient_ids.length,
      ...outcome,
      duration_ms: Math.round(performance.now() - startedMs),
    });
  }
}

function attributesOf({ environment_id, chunk, recipient_ids }: DeliveryRequested) {
  return {
    [ATTRIBUTE.channel]: 'push',
    [ATTRIBUTE.environmentId]: environment_id,
    [ATTRIBUTE.recipients]: recipient_ids.length,
    ...(chunk === undefined ? {} : { [ATTRIBUTE.runId]: chunk.run_id, [ATTRIBUTE.chunkNo]: chunk.chunk_no }),
  };
}
