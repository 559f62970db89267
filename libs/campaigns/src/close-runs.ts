import { Injectable } from '@nestjs/common';
import { Clock } from '#contracts';
import { Database } from '#database';
import { emptyCounts, liveCounts } from './run-counts.js';
import type { Run, RunKey } from './run.js';
import { RunStore } from './run.store.js';

/**
 * Closes runs in which nothing is left to do, and freezes their counts.
 *
 * It works in a transaction of its own, after the one that settled the last batch was committed: two consumers that settle the last
 * two batches at the same time do not see each other, but the later of them sees both afterwards. What a crash leaves open is
 * closed by the redelivered record or by the reconciler.
 */
@Injectable()
export class CloseRuns {
  constructor(
    private readonly database: Database,
    private readonly runs: RunStore,
    private readonly clock: Clock,
  ) {}

  /**
   * Closes those of the given runs that are settled.
   *
   * @returns the runs that this call closed
   */
  async closeSettled(candidates: readonly RunKey[]): Promise<Run[]> {
    return candidates.length === 0 ? [] : this.closeAll(await this.runs.findSettled(candidates));
  }

  /** Closes settled runs of every environment that somebody should have closed, oldest first. */
  async closeAnySettled(limit: number): Promise<Run[]> {
    return this.closeAll(await this.runs.listSettled(limit));
  }

  private async closeAll(runs: readonly RunKey[]): Promise<Run[]> {
    const closed: Run[] = [];
    for (const run of runs) {
      const ended = await this.close(run);
      if (ended !== undefined) closed.push(ended);
    }
    return closed;
  }

  private async close({ environmentId, runId }: RunKey): Promise<Run | undefined> {
    return this.database.transaction(async (tx) => {
      const run = await this.runs.lock(environmentId, runId, tx);
      if (run === undefined || (await this.runs.findSettled([{ environmentId, runId }], tx)).length === 0) return undefined;
      const now = this.clock.now();
      const tally = (await this.runs.readTallies(environmentId, [runId], now, tx)).get(runId);
      const counts = tally === undefined ? emptyCounts(run.channels) : liveCounts(run.channels, tally);
      const state = run.state === 'cancelling' ? 'cancelled' : 'finished';
      await this.runs.end(environmentId, runId, { state, counts, finishedAt: now }, tx);
      return { ...run, state, counts, finishedAt: now };
    });
  }
}
