import { type DynamicModule, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import { BelfryConfig } from '#config';
import { ATTRIBUTE, observeMetric, WideLogger } from '#telemetry';
import { Database } from './database.js';
import { databaseConfig } from './database.config.js';
import { assertMigrated } from './migrate.js';
import { openDatabase, type OpenDatabaseOptions } from './open-database.js';

/**
 * Makes the process's one `Database` injectable everywhere. Needs `ConfigModule` (section `databaseConfig`) and `TelemetryModule`, and
 * a database that has the schema of this code: otherwise the start fails with `DatabaseNotMigratedError`.
 * The pool is closed in Nest's last shutdown stage, after consumers and servers have drained.
 */
@Module({})
export class DatabaseModule implements OnApplicationShutdown {
  private readonly stopObserving = observeMetric('databaseConnections', (result) => {
    const { open, idle, waiting } = this.database.poolUsage;
    result.observe(open - idle, { [ATTRIBUTE.state]: 'used' });
    result.observe(idle, { [ATTRIBUTE.state]: 'idle' });
    result.observe(waiting, { [ATTRIBUTE.state]: 'waiting' });
  });

  constructor(@Inject(Database) private readonly database: Database) {}

  /** @param options `url` wins over DATABASE_URL: the embedded Postgres of the standalone app. */
  static forRoot(options: Omit<OpenDatabaseOptions, 'log'> = {}): DynamicModule {
    return {
      module: DatabaseModule,
      global: true,
      providers: [
        {
          provide: Database,
          inject: [BelfryConfig, WideLogger],
          useFactory: (config: BelfryConfig, log: WideLogger) => openMigrated(config, { ...options, log }),
        },
      ],
      exports: [Database],
    };
  }

  async onApplicationShutdown(): Promise<void> {
    this.stopObserving();
    await this.database.close();
  }
}

async function openMigrated(config: BelfryConfig, options: OpenDatabaseOptions): Promise<Database> {
  const database = await openDatabase(config.of(databaseConfig), options);
  try {
    await assertMigrated(database);
    return database;
  } catch (error) {
    await database.close();
    throw error;
  }
}
