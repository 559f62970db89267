import { type DynamicModule, Module } from '@nestjs/common';
import { CampaignsSegmenterModule, campaignsConfig } from '#campaigns';
import { DatabaseModule, databaseConfig } from '#database';
import { EventLogModule, eventLogConfig } from '#event-log';
import { httpConfig } from '#http';
import { telemetryConfig } from '#telemetry';

/** Plans runs, fans chunks out, counts what became of them, and closes gaps. */
@Module({ imports: [CampaignsSegmenterModule] })
export class SegmenterModule {
  static readonly sections = [httpConfig, telemetryConfig, databaseConfig, eventLogConfig, campaignsConfig];

  static forRoot(): DynamicModule {
    return {
      module: SegmenterModule,
      imports: [DatabaseModule.forRoot({ applicationName: 'belfry segmenter', keepPartitions: true }), EventLogModule.forRoot()],
    };
  }
}
