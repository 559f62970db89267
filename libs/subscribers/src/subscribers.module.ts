import { Module } from '@nestjs/common';
import { AttributeStore } from './attribute.store.js';
import { BulkSaveController } from './bulk-save/bulk-save.controller.js';
import { BulkSave } from './bulk-save/bulk-save.js';
import { DeclareAttributeController } from './declare-attribute/declare-attribute.controller.js';
import { ManageSubscribersController } from './manage-subscribers/manage-subscribers.controller.js';
import { SaveSubscriber } from './manage-subscribers/save-subscriber.js';
import { SubscriberStore } from './subscriber.store.js';

/** Subscribers for other contexts and for the command line. Needs `DatabaseModule`. */
@Module({ providers: [SubscriberStore, AttributeStore], exports: [SubscriberStore, AttributeStore] })
export class SubscribersModule {}

/** The routes under /v1/subscribers and /v1/attributes, for the gateway. */
@Module({
  imports: [SubscribersModule],
  providers: [SaveSubscriber, BulkSave],
  controllers: [BulkSaveController, ManageSubscribersController, DeclareAttributeController],
})
export class SubscribersApiModule {}
