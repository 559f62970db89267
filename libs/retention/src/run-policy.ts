/**
 * Removes what one policy names, under its lease.
 *
 * Life cycle: the lease is taken -> its steps run in order, each in bounded batches -> the lease is given back. Progress is the data
 * itself: whoever takes over after an abort at any point simply goes on.
 *
 * Invariants:
 * - A batch, its count in the protocol and the proof that the lease is ours are one transaction. A process that was stopped for longer than
 *   its lease writes nothing when it comes back: Postgres has ended its session by then, and if not, the fencing token refuses it.
 * - No statement waits long: a lock that does not come in time ends the run, which is tried again soon.
 * - Ages are measured by the database's clock.
 */
import { hostname } from 'node:os';
import { Injectable } from '@nestjs/common';
import { BelfryConfig, type ConfigOf } from '#config';
import { SystemClock } from '#contracts';
import { Database, isBlocked, type PartitionStep, PartitionManager, type RetentionPolicy, type RowStep, type Transaction } from '#database';
import { ATTRIBUTE, countMetric, recordMetric, WideLogger } from '#telemetry';
import { limitSilence, silenceMsOf } from './limit-silence.js';
import { retentionConfig } from './retention.config.js';
import { LeaseLostError } from './retention.errors.js';
import { type Lease, type RemovedBatch, RetentionStore } from './retention.store.js';

/** How a run ended. `busy`: another process is at it, or was lately; `lost`: it became another process's business on the way. */
export type RunOutcome = 'done' | 'blocked' | 'interrupted' | 'failed' | 'lost' | 'busy';

/** What one run of a policy did. */
export interface PolicyRun {
  readonly policy: string;
  readonly outcome: RunOutcome;
  /** Rows by table, of dropped partitions too. */
  readonly removed: Readonly<Record<string, number>>;
  readonly partitions: readonly string[];
  readonly batches: number;
  readonly durationMs: number;
}

export interface RunPolicyOptions {
  /** Leave a policy alone that ran lately. */
  readonly onlyIfDue: boolean;
  /** Ends the run between two batches. */
  readonly signal?: AbortSignal;
}

const MS_PER_SECOND = 1_000;
const MS_PER_HOUR = 3_600_000;
/** When a run that was not through is tried again, at the latest. */
const RETRY_MS_MAX = 60_000;

/** Figures of the run at hand. */
interface Tally {
  readonly removed: Record<string, number>;
  readonly partitions: string[];
  batches: number;
}

@Injectable()
export class RunPolicy {
  private readonly settings: ConfigOf<typeof retentionConfig>;
  private readonly partitions: PartitionManager;
  private readonly holder = `${hostname()}:${process.pid}`;

  constructor(
    private readonly database: Database,
    private readonly store: RetentionStore,
    config: BelfryConfig,
    private readonly log: WideLogger,
  ) {
    this.settings = config.of(retentionConfig);
    this.partitions = new PartitionManager(database, new SystemClock(), log, this.settings.lockTimeoutMs);
  }

  /** Rejects only when the lease cannot be asked for; what goes wrong later is an outcome. */
  async run(policy: RetentionPolicy, options: RunPolicyOptions): Promise<PolicyRun> {
    const startedMs = performance.now();
    const tally: Tally = { removed: {}, partitions: [], batches: 0 };
    const lease = await this.acquire(policy, options.onlyIfDue);
    if (lease === undefined) return { policy: policy.name, outcome: 'busy', ...tally, durationMs: 0 };
    const { outcome, failure } = await this.settle(lease, await this.removeAll(policy, lease, tally, options.signal));
    const durationMs = Math.round(performance.now() - startedMs);
    recordMetric('retentionDuration', durationMs / MS_PER_SECOND, { [ATTRIBUTE.policy]: policy.name, [ATTRIBUTE.outcome]: outcome });
    const { removed, partitions, batches } = tally;
    const fields = { policy: policy.name, outcome, removed, partitions, batches, token: lease.token, duration_ms: durationMs };
    if (outcome === 'failed') this.log.warn('retention.policy.ran', fields, failure);
    else this.log.info('retention.policy.ran', fields);
    return { policy: policy.name, outcome, ...tally, durationMs };
  }

  private async acquire(policy: RetentionPolicy, onlyIfDue: boolean): Promise<Lease | undefined> {
    try {
      return await this.transaction((tx) => this.store.acquire(policy, { holder: this.holder, leaseMs: this.leaseMs, onlyIfDue }, tx));
    } catch (error) {
      // Its holder is in the middle of a batch.
      if (isBlocked(error)) return undefined;
      throw error;
    }
  }

  private async removeAll(policy: RetentionPolicy, lease: Lease, tally: Tally, signal?: AbortSignal): Promise<RunEnd> {
    const cutoff = new Date(lease.at.getTime() - policy.keptHours * MS_PER_HOUR);
    try {
      for (const step of policy.steps) {
        // A counter that starts with its first row has no rate for that row.
        countRows(lease, step.kind === 'rows' ? step.table : step.table.parent, 0);
        const outcome =
          step.kind === 'rows'
            ? await this.removeRows(step, cutoff, { lease, tally, signal })
            : await this.dropPartitions(step, cutoff, { lease, tally, signal });
        if (outcome !== 'done') return { outcome };
      }
      return { outcome: 'done' };
    } catch (error) {
      if (error instanceof LeaseLostError) return { outcome: 'lost' };
      if (signal?.aborted === true) return { outcome: 'interrupted' };
      return isBlocked(error) ? { outcome: 'blocked', failure: error } : { outcome: 'failed', failure: error };
    }
  }

  private async removeRows(step: RowStep, cutoff: Date, run: RunAtHand): Promise<StepOutcome> {
    const limit = this.settings.batchRowsMax;
    for (let removed = limit; removed >= limit;) {
      if (run.signal?.aborted === true) return 'interrupted';
      const rows = await this.transaction(async (tx) => {
        await this.store.hold(run.lease, tx);
        const batch = await step.remove(cutoff, limit, tx);
        await this.store.renew(run.lease, tx);
        if (Object.values(batch).some((count) => count > 0)) await this.store.note(run.lease, { rows: batch }, tx);
        return batch;
      });
      removed = rows[step.table] ?? 0;
      if (removed > 0) addUp(run, { rows });
    }
    // Rows that somebody else held were passed over.
    return (await step.isDue(cutoff, this.database)) ? 'blocked' : 'done';
  }

  private async dropPartitions({ table, isHeld }: PartitionStep, cutoff: Date, run: RunAtHand): Promise<StepOutcome> {
    const report = await this.partitions.dropExpired(
      table,
      { before: cutoff, isHeld },
      {
        allow: async (sql) => {
          run.signal?.throwIfAborted();
          await this.store.renew(run.lease, sql);
        },
        dropped: async ({ name, rows }, sql) => {
          const batch = { rows: { [table.parent]: rows }, partition: name };
          await this.store.note(run.lease, batch, sql);
          addUp(run, batch);
        },
        silenceMsMax: silenceMsOf(this.leaseMs),
      },
    );
    return report.outcome === 'done' ? 'done' : 'blocked';
  }

  /** A lease that cannot be given back is lost, whatever came before: nothing is written then. */
  private async settle(lease: Lease, { outcome, failure }: RunEnd): Promise<{ outcome: RunOutcome; failure?: unknown }> {
    if (outcome === 'lost') return { outcome };
    const intervalMs = this.settings.intervalSeconds * MS_PER_SECOND;
    const dueInMs = outcome === 'done' ? intervalMs : outcome === 'interrupted' ? 0 : Math.min(intervalMs, RETRY_MS_MAX);
    const words = failure instanceof Error ? failure.message : undefined;
    try {
      await this.transaction((tx) => this.store.finish(lease, { outcome, failure: words, dueInMs }, tx));
      return { outcome, failure };
    } catch (error) {
      return error instanceof LeaseLostError ? { outcome: 'lost' } : { outcome: 'failed', failure: failure ?? error };
    }
  }

  private transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.database.transaction(async (tx) => {
      await limitSilence({ leaseMs: this.leaseMs, lockTimeoutMs: this.settings.lockTimeoutMs }, tx);
      return work(tx);
    });
  }

  private get leaseMs(): number {
    return this.settings.leaseSeconds * MS_PER_SECOND;
  }
}

type StepOutcome = 'done' | 'blocked' | 'interrupted';

interface RunEnd {
  readonly outcome: StepOutcome | 'failed' | 'lost';
  readonly failure?: unknown;
}

interface RunAtHand {
  readonly lease: Lease;
  readonly tally: Tally;
  readonly signal?: AbortSignal;
}

function addUp({ lease, tally }: RunAtHand, { rows, partition }: RemovedBatch): void {
  tally.batches += 1;
  if (partition !== undefined) tally.partitions.push(partition);
  for (const [table, removed] of Object.entries(rows)) {
    tally.removed[table] = (tally.removed[table] ?? 0) + removed;
    countRows(lease, table, removed);
  }
}

function countRows({ policy }: Lease, table: string, rows: number): void {
  countMetric('retentionRows', rows, { [ATTRIBUTE.policy]: policy, [ATTRIBUTE.table]: table });
}
