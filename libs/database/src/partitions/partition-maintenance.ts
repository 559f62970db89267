import type { OnApplicationBootstrap, OnModuleDestroy } from '@nestjs/common';
import { ATTRIBUTE, observeMetric } from '#telemetry';
import type { DatabaseLog } from '../database-log.js';
import type { PartitionManager, PartitionReport } from './partition-manager.js';
import type { PartitionedTable } from './partitioned-tables.js';

/** How often each table is looked at: far more often than the shortest interval, so that a failed run has many successors. */
const MAINTENANCE_PERIOD_MS = 3_600_000;

/** Fewer than this ahead is an error event: there is about one interval left to act. */
const PARTITIONS_AHEAD_ALARM = 2;

/**
 * Keeps partitions ahead: what is missing is made at the start and every hour. Any number of processes may run it; one works on a
 * table at a time. A failed run is logged and the next one goes on. Old partitions are the business of retention.
 */
export class PartitionMaintenance implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly partitionsAhead = new Map<string, number>();
  private readonly stopObserving = observeMetric('partitionsAhead', (result) => {
    for (const [parent, count] of this.partitionsAhead) result.observe(count, { [ATTRIBUTE.table]: parent });
  });
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> = Promise.resolve();

  constructor(
    private readonly manager: PartitionManager,
    private readonly tables: readonly PartitionedTable[],
    private readonly log: DatabaseLog,
  ) {}

  onApplicationBootstrap(): void {
    this.schedule();
    this.timer = setInterval(() => this.schedule(), MAINTENANCE_PERIOD_MS);
    this.timer.unref();
  }

  /** Waits for the run at hand. */
  async onModuleDestroy(): Promise<void> {
    clearInterval(this.timer);
    this.stopObserving();
    await this.running;
  }

  /** One run over all tables. Never rejects. */
  async runOnce(): Promise<readonly PartitionReport[]> {
    const reports: PartitionReport[] = [];
    for (const table of this.tables) {
      try {
        reports.push(await this.manager.ensureAhead(table));
      } catch (error) {
        this.log.warn('database.partitions.failed', { parent: table.parent }, error);
      }
    }
    for (const { parent, partitionsAhead } of reports) {
      this.partitionsAhead.set(parent, partitionsAhead);
      if (partitionsAhead < PARTITIONS_AHEAD_ALARM)
        this.log.error('database.partitions.short', { parent, partitions_ahead: partitionsAhead });
    }
    return reports;
  }

  private schedule(): void {
    this.running = this.runAfter(this.running);
  }

  private async runAfter(previous: Promise<void>): Promise<void> {
    await previous;
    await this.runOnce();
  }
}
