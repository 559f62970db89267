import { Injectable } from '@nestjs/common';
import { Clock } from '#contracts';
import { Database, type Transaction } from '#database';
import { ATTRIBUTE, withSpan } from '#telemetry';
import { CloseRuns } from '../close-runs.js';
import { EmitRun } from '../emit-run.js';
import { ReconcileStore, type StalledRun } from '../reconcile.store.js';
import type { Run } from '../run.js';

/** What one pass did. */
export interface Reconciliation {
  /** Runs that stood still and whose open work was handed on again. */
  readonly restarted: readonly StalledRun[];
  readonly closed: readonly Run[];
}

/** Runs that one pass restarts or closes at most; the next pass takes more. */
const RUNS_PER_PASS_MAX = 100;

/** Longest wait between two repeats. */
const WAIT_SECONDS_MAX = 1_800;

/**
 * Closes the gaps that lost records and crashes leave, so that no run stands still for ever: planning that never came, chunks and
 * requests and reports that got lost, settled runs that nobody closed. It only repeats records and re-checks conditions; whatever it
 * repeats needlessly changes nothing. Each run waits longer after each repeat, so that a slow pipeline is not buried in repeats.
 */
@Injectable()
export class ReconcileRuns {
  constructor(
    private readonly database: Database,
    private readonly store: ReconcileStore,
    private readonly emitRun: EmitRun,
    private readonly closeRuns: CloseRuns,
    private readonly clock: Clock,
  ) {}

  /**
   * One pass over all environments. Does nothing while another process leads.
   *
   * @param stalledAfterMs how long a run stands still before its work is handed on again for the first time
   */
  async reconcile(stalledAfterMs: number): Promise<Reconciliation> {
    const restarted = await this.restartStalled(stalledAfterMs);
    if (restarted === undefined) return { restarted: [], closed: [] };
    return { restarted, closed: await this.closeRuns.closeAnySettled(RUNS_PER_PASS_MAX) };
  }

  /** `undefined` when another process leads. */
  private async restartStalled(stalledAfterMs: number): Promise<readonly StalledRun[] | undefined> {
    const bounds = { stalledAfterSeconds: stalledAfterMs / 1_000, waitSecondsMax: WAIT_SECONDS_MAX };
    return this.database.transaction(async (tx) => {
      if (!(await this.store.tryLead(tx))) return undefined;
      const stalled = await this.store.lockStalled(bounds, { now: this.clock.now(), limit: RUNS_PER_PASS_MAX }, tx);
      for (const run of stalled) await this.restart(run, tx);
      return stalled;
    });
  }

  /** A trace of its own: the one of the trigger may be over for days. */
  private async restart(run: StalledRun, tx: Transaction): Promise<void> {
    const attributes = { [ATTRIBUTE.environmentId]: run.environmentId, [ATTRIBUTE.runId]: run.runId };
    await withSpan('campaign.run.restart', { attributes, startsTrace: true, links: [run.traceparent ?? undefined] }, async () => {
      if (run.isPlanned) await this.emitRun.emitOpenChunks(run, tx);
      else await this.emitRun.emitForPlanning(run, tx);
    });
  }
}
