import { type DynamicModule, type FactoryProvider, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import { BelfryConfig } from '#config';
import { SystemClock } from '#contracts';
import { ATTRIBUTE, observeMetric, WideLogger } from '#telemetry';
import { Database } from './database.js';
import { DatabaseClock } from './database-clock.js';
import { databaseConfig } from './database.config.js';
import { SILENT_LOG } from './database-log.js';
import { assertMigrated } from './migrate.js';
import { openDatabase, type OpenDatabaseOptions } from './open-database.js';
import { PartitionMaintenance } from './partitions/partition-maintenance.js';
import { PartitionManager } from './partitions/partition-manager.js';
import { PARTITIONED_TABLES } from './partitions/partitioned-tables.js';
import { untilAvailable } from './until-available.js';

/** What an app says of its database. */
export interface DatabaseModuleOptions extends Omit<OpenDatabaseOptions, 'log'> {
  /** Keep the partitions of all tables ahead while the process runs. Every app does, so that no write depends on another one. */
  readonly keepPartitions?: boolean;
}

/** Makes partitions ahead, whichever app needs them. */
const KEEP_PARTITIONS: FactoryProvider<PartitionMaintenance> = {
  provide: PartitionMaintenance,
  inject: [Database, WideLogger],
  useFactory: (database: Database, log: WideLogger) =>
    new PartitionMaintenance(new PartitionManager(database, new SystemClock(), log), PARTITIONED_TABLES, log),
};

const CLOCK: FactoryProvider<DatabaseClock> = {
  provide: DatabaseClock,
  inject: [Database, WideLogger],
  useFactory: async (database: Database, log: WideLogger) => {
    const clock = new DatabaseClock(database, log);
    await clock.start();
    return clock;
  },
};

/**
 * Makes the process's one `Database` and the time of Postgres injectable everywhere. Needs `ConfigModule` (section `databaseConfig`) and `TelemetryModule`, and
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

  constructor(
    @Inject(Database) private readonly database: Database,
    private readonly clock: DatabaseClock,
  ) {}

  /** @param options `url` wins over DATABASE_URL: the embedded Postgres of the standalone app. */
  static forRoot({ keepPartitions = false, ...options }: DatabaseModuleOptions = {}): DynamicModule {
    return {
      module: DatabaseModule,
      global: true,
      providers: [
        {
          provide: Database,
          inject: [BelfryConfig, WideLogger],
          useFactory: (config: BelfryConfig, log: WideLogger) => openMigrated(config, { ...options, log }),
        },
        CLOCK,
        ...(keepPartitions ? [KEEP_PARTITIONS] : []),
      ],
      exports: [Database, DatabaseClock],
    };
  }

  async onApplicationShutdown(): Promise<void> {
    this.stopObserving();
    this.clock.stop();
    await this.database.close();
  }
}

async function openMigrated(config: BelfryConfig, options: OpenDatabaseOptions): Promise<Database> {
  const settings = config.of(databaseConfig);
  const database = await openDatabase(settings, options);
  try {
    // A server that goes away between the two is waited for as well.
    await untilAvailable(() => assertMigrated(database), { waitMs: settings.startWaitMs, log: options.log ?? SILENT_LOG });
    return database;
  } catch (error) {
    await database.close();
    throw error;
  }
}
