import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { inboxMessageChangedV1, inboxMessageDeliveredV1, type InboxMessageChanged, type InboxMessageDelivered } from '#contracts';
import { ConsumeBatch, type ReceivedEvent } from '#event-log';
import { AnnounceMessages } from './announce-messages.js';

const ANNOUNCE_CONCURRENCY = 1;
/** Records of a campaign name up to 1,000 recipients each; most of them are connected nowhere and cost one look into a map. */
const ANNOUNCE_BATCH_RECORDS_MAX = 100;

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
  async announceDelivered(@Payload() events: readonly ReceivedEvent<InboxMessageDelivered>[]): Promise<void> {
    await this.announceMessages.delivered(events.map(({ event }) => event));
  }

  @ConsumeBatch(inboxMessageChangedV1, {
    group: 'gateway.announce-changed',
    broadcast: true,
    concurrency: ANNOUNCE_CONCURRENCY,
    batchRecordsMax: ANNOUNCE_BATCH_RECORDS_MAX,
  })
  async announceChanged(@Payload() events: readonly ReceivedEvent<InboxMessageChanged>[]): Promise<void> {
    await this.announceMessages.changed(events.map(({ event }) => event));
  }
}
