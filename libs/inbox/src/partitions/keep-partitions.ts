import type { FactoryProvider } from '@nestjs/common';
import { BelfryConfig } from '#config';
import { SystemClock } from '#contracts';
import { Database, PARTITIONED_TABLES, type PartitionedTable, PartitionMaintenance, PartitionManager } from '#database';
import { WideLogger } from '#telemetry';
import { inboxConfig } from '../inbox.config.js';

/** The partitions of inbox.message, kept as long as the configuration says. */
export function inboxPartitions(messageRetentionDays: number): PartitionedTable[] {
  return PARTITIONED_TABLES.filter((table) => table.parent === 'inbox.message').map((table) => ({
    ...table,
    retentionDays: messageRetentionDays,
  }));
}

/** Makes partitions ahead and drops the expired ones, at the start and every hour, beside readers and writers. */
export const KEEP_PARTITIONS: FactoryProvider<PartitionMaintenance> = {
  provide: PartitionMaintenance,
  inject: [Database, BelfryConfig, WideLogger],
  useFactory: (database: Database, config: BelfryConfig, log: WideLogger) => {
    const manager = new PartitionManager(database, new SystemClock(), log);
    return new PartitionMaintenance(manager, inboxPartitions(config.of(inboxConfig).messageRetentionDays), log);
  },
};
