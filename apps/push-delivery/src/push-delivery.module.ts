import { type DynamicModule, Module } from '@nestjs/common';
import { DatabaseModule, databaseConfig } from '#database';
import { engagementConfig, EngagementTallyModule } from '#engagement';
import { EventLogModule, eventLogConfig } from '#event-log';
import { httpConfig } from '#http';
import { PushDeliveryModule, pushConfig } from '#push';
import { telemetryConfig } from '#telemetry';
import { TenancyModule, tenancyConfig } from '#tenancy';

/** Sends requested messages to push services, counts engagement, and keeps the partitions of both. */
@Module({ imports: [TenancyModule, PushDeliveryModule, EngagementTallyModule] })
export class PushDeliveryAppModule {
  static readonly sections = [httpConfig, telemetryConfig, databaseConfig, eventLogConfig, tenancyConfig, pushConfig, engagementConfig];

  static forRoot(): DynamicModule {
    return {
      module: PushDeliveryAppModule,
      imports: [DatabaseModule.forRoot({ applicationName: 'belfry push-delivery' }), EventLogModule.forRoot()],
    };
  }
}
