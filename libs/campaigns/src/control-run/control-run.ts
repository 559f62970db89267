import { Injectable } from '@nestjs/common';
import { Clock } from '#contracts';
import { Database, type Transaction } from '#database';
import { RunNotFoundError, RunStateConflictError } from '../campaigns.errors.js';
import { CloseRuns } from '../close-runs.js';
import { EmitRun } from '../emit-run.js';
import { emptyCounts } from '../run-counts.js';
import { canTransition, isTerminal } from '../run-state.js';
import type { Run } from '../run.js';
import { RunStore } from '../run.store.js';

/**
 * Pauses, resumes and cancels runs. Each change is made under the lock of the run's row, together with the records that carry it on;
 * every stage looks at the state before each batch, so the change takes effect within one batch. Asking for what is already so
 * changes nothing and answers the run.
 */
@Injectable()
export class ControlRun {
  constructor(
    private readonly database: Database,
    private readonly runs: RunStore,
    private readonly emitRun: EmitRun,
    private readonly closeRuns: CloseRuns,
    private readonly clock: Clock,
  ) {}

  /**
   * Nothing more goes out until the resume. Batches on their way are finished and counted.
   *
   * @throws RunNotFoundError, RunStateConflictError when the run is being cancelled or is over
   */
  async pause(environmentId: string, runId: string): Promise<void> {
    await this.database.transaction(async (tx) => {
      const run = await this.lock(environmentId, runId, tx);
      if (run.state === 'paused') return;
      if (!canTransition(run.state, 'paused')) throw new RunStateConflictError(run.state, 'pause');
      await this.runs.setState(environmentId, runId, 'paused', tx);
    });
  }

  /**
   * Goes on where the pause stopped: everything that is still open is handed on again.
   *
   * @throws RunNotFoundError, RunStateConflictError when the run is being cancelled or is over
   */
  async resume(environmentId: string, runId: string): Promise<void> {
    await this.database.transaction(async (tx) => {
      const run = await this.lock(environmentId, runId, tx);
      if (run.state === 'triggered' || run.state === 'running') return;
      const next = run.plannedAt === null ? 'triggered' : 'running';
      if (!canTransition(run.state, next)) throw new RunStateConflictError(run.state, 'resume');
      await this.runs.setState(environmentId, runId, next, tx);
      if (next === 'triggered') await this.emitRun.emitForPlanning({ environmentId, runId }, tx);
      else await this.emitRun.emitOpenChunks({ environmentId, runId }, tx);
    });
    await this.closeRuns.closeSettled([{ environmentId, runId }]);
  }

  /**
   * Nothing more goes out, ever; who did not get the message yet is counted as cancelled. A run that is over stays as it is.
   *
   * @throws RunNotFoundError
   */
  async cancel(environmentId: string, runId: string): Promise<void> {
    await this.database.transaction(async (tx) => {
      const run = await this.lock(environmentId, runId, tx);
      if (run.state === 'cancelling' || isTerminal(run.state)) return;
      if (run.plannedAt === null) {
        const end = { state: 'cancelled' as const, counts: emptyCounts(run.channels), finishedAt: this.clock.now() };
        await this.runs.end(environmentId, runId, end, tx);
        return;
      }
      await this.runs.setState(environmentId, runId, 'cancelling', tx);
      await this.emitRun.emitOpenChunks({ environmentId, runId }, tx);
    });
    await this.closeRuns.closeSettled([{ environmentId, runId }]);
  }

  private async lock(environmentId: string, runId: string, tx: Transaction): Promise<Run> {
    const run = await this.runs.lock(environmentId, runId, tx);
    if (run === undefined) throw new RunNotFoundError();
    return run;
  }
}
