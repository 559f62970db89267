import { Module } from '@nestjs/common';
import { Clock } from '#contracts';
import { DatabaseClock } from '#database';
import { ContentModule } from '#content';
import { ReceiptModule } from '#identity';
import { SubscribersModule } from '#subscribers';
import { ChangeMessageController } from './change-message/change-message.controller.js';
import { ChangeMessage } from './change-message/change-message.js';
import { CountMessages } from './count-messages/count-messages.js';
import { CountUnreadController } from './count-unread/count-unread.controller.js';
import { DeliverInboxConsumer } from './deliver/deliver-inbox.consumer.js';
import { DeliverInbox } from './deliver/deliver-inbox.js';
import { DeliverSingleMessages } from './deliver/deliver-single-messages.js';
import { TraceDeliveries } from './deliver/trace-deliveries.js';
import { InboxStore } from './inbox.store.js';
import { ListMessagesController } from './list-messages/list-messages.controller.js';
import { ListMessages } from './list-messages/list-messages.js';
import { MessagePresenter } from './message.js';
import { MessageStore } from './message.store.js';
import { AnnounceMessagesConsumer } from './stream/announce-messages.consumer.js';
import { AnnounceMessages } from './stream/announce-messages.js';
import { CatchUp } from './stream/catch-up.js';
import { StreamMessagesController } from './stream/stream-messages.controller.js';
import { StreamMessages } from './stream/stream-messages.js';
import { TabRegistry } from './stream/tab-registry.js';

const CLOCK = { provide: Clock, useExisting: DatabaseClock };

/** The gateway's part: the subscriber's own inbox over HTTP, and the streams that the log's broadcast records feed. */
@Module({
  imports: [ContentModule, ReceiptModule],
  controllers: [ListMessagesController, CountUnreadController, ChangeMessageController, StreamMessagesController, AnnounceMessagesConsumer],
  providers: [
    CLOCK,
    MessageStore,
    MessagePresenter,
    ListMessages,
    CountMessages,
    ChangeMessage,
    TabRegistry,
    CatchUp,
    StreamMessages,
    AnnounceMessages,
  ],
  exports: [ListMessages, CountMessages, ChangeMessage, StreamMessages],
})
export class InboxApiModule {}

/** The part of the inbox-delivery app: writes requested messages. */
@Module({
  imports: [ContentModule, SubscribersModule],
  controllers: [DeliverInboxConsumer],
  providers: [CLOCK, InboxStore, DeliverInbox, DeliverSingleMessages, TraceDeliveries],
})
export class InboxDeliveryModule {}
