import { type DynamicModule, Module } from '@nestjs/common';
import { DatabaseModule, databaseConfig } from '#database';
import { engagementConfig, EngagementTallyModule } from '#engagement';
import { EventLogModule, eventLogConfig } from '#event-log';
import { httpConfig } from '#http';
import { InboxDeliveryModule, inboxConfig } from '#inbox';
import { RETENTION_SECTIONS, RetentionModule } from '#retention';
import { telemetryConfig } from '#telemetry';

/** Writes requested messages to inboxes, counts engagement, and removes what is past its period. */
@Module({ imports: [InboxDeliveryModule, EngagementTallyModule, RetentionModule.forRoot({ role: 'inbox-delivery' })] })
export class InboxDeliveryAppModule {
  static readonly sections = [
    httpConfig,
    telemetryConfig,
    databaseConfig,
    eventLogConfig,
    inboxConfig,
    engagementConfig,
    ...RETENTION_SECTIONS['inbox-delivery'],
  ];

  static forRoot(): DynamicModule {
    return {
      module: InboxDeliveryAppModule,
      imports: [DatabaseModule.forRoot({ applicationName: 'belfry inbox-delivery', keepPartitions: true }), EventLogModule.forRoot()],
    };
  }
}
