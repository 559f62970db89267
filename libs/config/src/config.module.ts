import { type DynamicModule, Module } from '@nestjs/common';
import { BelfryConfig } from './belfry-config.js';

/** Makes the process's one `BelfryConfig` injectable everywhere. */
@Module({})
export class ConfigModule {
  static forRoot(config: BelfryConfig): DynamicModule {
    return { module: ConfigModule, global: true, providers: [{ provide: BelfryConfig, useValue: config }], exports: [BelfryConfig] };
  }
}
