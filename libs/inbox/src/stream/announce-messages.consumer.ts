import { Controller } from '@nestjs/common';
import { Ctx, Payload } from '@nestjs/microservices';
import { inboxMessageChangedV1, inboxMessageDeliveredV1, type InboxMessageChanged, type InboxMessageDelivered } from '#contracts';
import { type BatchContext, ConsumeBatch, type ReceivedEvent } from '#event-log';
import { AnnounceMessages } from './announce-messages.js';

const ANNOUNCE_CONCURRENCY = 1;
/** Records of a campaign name up to 1,000 recipients each; most of them are connected nowhere and cost one look into a map. */
const ANNOUNCE_BATCH_RECORDS_MAX = 50;

/** Reads every record in every gateway: which gateway holds a subscriber's tabs is known to that gateway alone. */
@Controller()
export class AnnounceMessagesConsumer {
  constructor(private readonly announceMessages: AnnounceMessages) {}

  @ConsumeBatch(inboxMessageDeliveredV1, {
    group: 'gateway.announce-delivered',
    broadcast: true,
    concurrency: ANNOUNCE_CONCURRENCY,
    batchRecordsMax: ANNOUNCE_BATCH_RECORDS_MAX,
  })
  async announceDelivered(@Payload() events: readonly ReceivedEvent<InboxMessageDelivered>[], @Ctx() context: BatchContext): Promise<void> {
    await this.announceMessages.delivered(
      events.map(({ event }) => event),
      context,
    );
  }

  @ConsumeBatch(inboxMessageChangedV1, {
    group: 'gateway.announce-changed',
    broadcast: true,
    concurrency: ANNOUNCE_CONCURRENCY,
    batchRecordsMax: ANNOUNCE_BATCH_RECORDS_MAX,
  })
  async announceChanged(@Payload() events: readonly ReceivedEvent<InboxMessageChanged>[], @Ctx() context: BatchContext): Promise<void> {
    await this.announceMessages.changed(
      events.map(({ event }) => event),
      context,
    );
  }
}
