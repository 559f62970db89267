import { type DynamicModule, Module } from '@nestjs/common';
import { BelfryConfig } from '#config';
import { DeliverySampler } from './delivery-sampler.js';
import { telemetryConfig } from './telemetry.config.js';
import { createWideLogger, WideLogger } from './wide-logger.js';

/** Makes the process's `WideLogger` and `DeliverySampler` injectable everywhere. Needs `ConfigModule.forRoot` with the section `telemetryConfig`. */
@Module({})
export class TelemetryModule {
  /** @param service name of the app in each log line: `gateway`. */
  static forRoot(service: string): DynamicModule {
    return {
      module: TelemetryModule,
      global: true,
      providers: [
        DeliverySampler,
        {
          provide: WideLogger,
          inject: [BelfryConfig],
          useFactory: (config: BelfryConfig) => {
            const { logLevel, logFormat } = config.of(telemetryConfig);
            return createWideLogger({ service, level: logLevel, format: logFormat });
          },
        },
      ],
      exports: [DeliverySampler, WideLogger],
    };
  }
}
