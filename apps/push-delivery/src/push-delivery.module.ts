import { type DynamicModule, Module } from '@nestjs/common';
import { DatabaseModule, databaseConfig } from '#database';
import { engagementConfig, EngagementTallyModule } from '#engagement';
import { EventLogModule, eventLogConfig } from '#event-log';
import { httpConfig } from '#http';
import { PushDeliveryModule, pushConfig } from '#push';
import { RETENTION_SECTIONS, RetentionModule } from '#retention';
import { telemetryConfig } from '#telemetry';
import { TenancyModule, tenancyConfig } from '#tenancy';

/** Sends requested messages to push services, counts engagement, and removes what is past its period. */
@Module({ imports: [TenancyModule, PushDeliveryModule, EngagementTallyModule, RetentionModule.forRoot({ role: 'push-delivery' })] })
export class PushDeliveryAppModule {
  static readonly sections = [
    httpConfig,
    telemetryConfig,
    databaseConfig,
    eventLogConfig,
    tenancyConfig,
    pushConfig,
    engagementConfig,
    ...RETENTION_SECTIONS['push-delivery'],
  ];

  static forRoot(): DynamicModule {
    return {
      module: PushDeliveryAppModule,
      imports: [DatabaseModule.forRoot({ applicationName: 'belfry push-delivery', keepPartitions: true }), EventLogModule.forRoot()],
    };
  }
}
