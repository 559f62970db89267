import { type DynamicModule, Module } from '@nestjs/common';
import { DatabaseModule, databaseConfig } from '#database';
import { EventLogModule, eventLogConfig } from '#event-log';
import { httpConfig } from '#http';
import { InboxDeliveryModule, inboxConfig } from '#inbox';
import { telemetryConfig } from '#telemetry';

/** Writes requested messages to inboxes and keeps their partitions. */
@Module({ imports: [InboxDeliveryModule] })
export class InboxDeliveryAppModule {
  static readonly sections = [httpConfig, telemetryConfig, databaseConfig, eventLogConfig, inboxConfig];

  static forRoot(): DynamicModule {
    return {
      module: InboxDeliveryAppModule,
      imports: [DatabaseModule.forRoot({ applicationName: 'belfry inbox-delivery' }), EventLogModule.forRoot()],
    };
  }
}
