import type { FactoryProvider } from '@nestjs/common';
import { BelfryConfig } from '#config';
import { SystemClock } from '#contracts';
import { Database, PARTITIONED_TABLES, type PartitionedTable, PartitionMaintenance, PartitionManager } from '#database';
import { WideLogger } from '#telemetry';
import { pushConfig } from '../push.config.js';

/** The partitions of push.delivery, kept as long as the configuration says. */
export function pushPartitions(deliveryRetentionDays: number): PartitionedTable[] {
  return PARTITIONED_TABLES.filter((table) => table.parent === 'push.delivery').map((table) => ({
    ...table,
    retentionDays: deliveryRetentionDays,
  }));
}

/** Makes partitions ahead and drops the expired ones, at the start and every hour, beside readers and writers. */
export const KEEP_PARTITIONS: FactoryProvider<PartitionMaintenance> = {
  provide: PartitionMaintenance,
  inject: [Database, BelfryConfig, WideLogger],
  useFactory: (database: Database, config: BelfryConfig, log: WideLogger) => {
    const manager = new PartitionManager(database, new SystemClock(), log);
    return new PartitionMaintenance(manager, pushPartitions(config.of(pushConfig).deliveryRetentionDays), log);
  },
};
