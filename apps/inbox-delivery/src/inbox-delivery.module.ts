import { type DynamicModule, Module } from '@nestjs/common';
import { DatabaseModule, databaseConfig } from '#database';
import { engagementConfig, EngagementTallyModule } from '#engagement';
import { EventLogModule, eventLogConfig } from '#event-log';
import { httpConfig } from '#http';
import { InboxDeliveryModule, inboxConfig } from '#inbox';
import { telemetryConfig } from '#telemetry';

/** Writes requested messages to inboxes, counts engagement, and keeps the partitions of both. */
@Module({ imports: [InboxDeliveryModule, EngagementTallyModule] })
export class InboxDeliveryAppModule {
  static readonly sections = [httpConfig, telemetryConfig, databaseConfig, eventLogConfig, inboxConfig, engagementConfig];

  static forRoot(): DynamicModule {
    return {
      module: InboxDeliveryAppModule,
      imports: [DatabaseModule.forRoot({ applicationName: 'belfry inbox-delivery' }), EventLogModule.forRoot()],
    };
  }
}
