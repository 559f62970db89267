import type { FactoryProvider } from '@nestjs/common';
import { BelfryConfig } from '#config';
import { SystemClock } from '#contracts';
import { Database, PARTITIONED_TABLES, type PartitionedTable, PartitionMaintenance, PartitionManager } from '#database';
import { WideLogger } from '#telemetry';
import { engagementConfig } from '../engagement.config.js';

/** The partitioned tables of engagement, kept as long as the configuration says. */
export function engagementPartitions(retentionDays: number): PartitionedTable[] {
  return PARTITIONED_TABLES.filter((table) => table.owner === 'engagement').map((table) => ({ ...table, retentionDays }));
}

/** Makes partitions ahead and drops the expired ones, at the start and every hour, beside readers and writers. */
export const KEEP_PARTITIONS: FactoryProvider<PartitionMaintenance> = {
  provide: PartitionMaintenance,
  inject: [Database, BelfryConfig, WideLogger],
  useFactory: (database: Database, config: BelfryConfig, log: WideLogger) => {
    const manager = new PartitionManager(database, new SystemClock(), log);
    return new PartitionMaintenance(manager, engagementPartitions(config.of(engagementConfig).retentionDays), log);
  },
};
