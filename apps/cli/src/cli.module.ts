import { type DynamicModule, Global, Module } from '@nestjs/common';
import { type BelfryConfig, ConfigModule } from '#config';
import { DatabaseModule } from '#database';
import { DeadLettersModule } from '#dead-letters';
import { EventLogTablesModule } from '#event-log';
import { IdentityModule } from '#identity';
import { SubscribersModule } from '#subscribers';
import { createWideLogger, WideLogger } from '#telemetry';
import { TenancyModule } from '#tenancy';

/** The log of a command: warnings only, on stderr, because stdout belongs to the command's result. */
@Global()
@Module({
  providers: [
    {
      provide: WideLogger,
      useFactory: () => createWideLogger({ service: 'cli', level: 'warn', format: 'auto', destination: process.stderr }),
    },
  ],
  exports: [WideLogger],
})
class CliLogModule {}

/** What commands may use: the use-cases of the contexts, without servers and consumers. */
@Module({})
export class CliModule {
  /** @param databaseUrl of the database that the command works on, DATABASE_URL or the embedded one. */
  static forRoot(config: BelfryConfig, databaseUrl: string, modules: readonly DynamicModule[] = []): DynamicModule {
    return {
      module: CliModule,
      imports: [
        ConfigModule.forRoot(config),
        CliLogModule,
        DatabaseModule.forRoot({ url: databaseUrl, applicationName: 'belfry cli' }),
        TenancyModule,
        IdentityModule,
        SubscribersModule,
        EventLogTablesModule,
        DeadLettersModule,
        ...modules,
      ],
    };
  }
}
