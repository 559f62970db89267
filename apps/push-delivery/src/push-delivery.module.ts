import { type DynamicModule, Module } from '@nestjs/common';
import { DatabaseModule, databaseConfig } from '#database';
import { EventLogModule, eventLogConfig } from '#event-log';
import { httpConfig } from '#http';
import { PushDeliveryModule, pushConfig } from '#push';
import { telemetryConfig } from '#telemetry';
import { TenancyModule, tenancyConfig } from '#tenancy';

/** Sends requested messages to push services and keeps the partitions of their deliveries. */
@Module({ imports: [TenancyModule, PushDeliveryModule] })
export class PushDeliveryAppModule {
  static readonly sections = [httpConfig, telemetryConfig, databaseConfig, eventLogConfig, tenancyConfig, pushConfig];

  static forRoot(): DynamicModule {
    return {
      module: PushDeliveryAppModule,
      imports: [DatabaseModule.forRoot({ applicationName: 'belfry push-delivery' }), EventLogModule.forRoot()],
    };
  }
}
