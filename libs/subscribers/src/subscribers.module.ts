import { Module } from '@nestjs/common';
import { AttributeStore } from './attribute.store.js';
import { BulkSaveController } from './bulk-save/bulk-save.controller.js';
import { BulkSave } from './bulk-save/bulk-save.js';
import { CompanyStore } from './company.store.js';
import { DeclareAttributeController } from './declare-attribute/declare-attribute.controller.js';
import { ImportFileController } from './import-file/import-file.controller.js';
import { ImportFile } from './import-file/import-file.js';
import { ImportStore } from './import.store.js';
import { ManageCompaniesController } from './manage-companies/manage-companies.controller.js';
import { SaveCompany } from './manage-companies/save-company.js';
import { ManageSubscribersController } from './manage-subscribers/manage-subscribers.controller.js';
import { SaveSubscriber } from './manage-subscribers/save-subscriber.js';
import { SubscriberStore } from './subscriber.store.js';

/** Subscribers for other contexts and for the command line. Needs `DatabaseModule` and a `WideLogger`. */
@Module({
  providers: [SubscriberStore, CompanyStore, AttributeStore, ImportStore, ImportFile],
  exports: [SubscriberStore, CompanyStore, AttributeStore, ImportStore, ImportFile],
})
export class SubscribersModule {}

/** The routes under /v1/subscribers, /v1/companies, /v1/attributes and /v1/imports, for the gateway. */
@Module({
  imports: [SubscribersModule],
  providers: [SaveSubscriber, SaveCompany, BulkSave],
  controllers: [
    BulkSaveController,
    ManageSubscribersController,
    ManageCompaniesController,
    DeclareAttributeController,
    ImportFileController,
  ],
})
export class SubscribersApiModule {}
