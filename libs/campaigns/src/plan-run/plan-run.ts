import { Injectable } from '@nestjs/common';
import { campaignChunkPlannedV1, CHUNK_COUNT_MAX, Clock } from '#contracts';
import { Database, errorCodeOf, type Transaction } from '#database';
import { Outbox, RecordSubjectUnknownError } from '#event-log';
import { ChunkStore, type ChunkBound } from '../chunk.store.js';
import { emptyCounts } from '../run-counts.js';
import type { Run, RunKey } from '../run.js';
import { RunStore } from '../run.store.js';

/** What planning did. `dropped`: the run is paused, over or planned already. */
export type PlanOutcome =
  | { readonly outcome: 'planned'; readonly recipients: number; readonly chunks: number }
  | { readonly outcome: 'empty' }
  | { readonly outcome: 'failed'; readonly reason: string }
  | { readonly outcome: 'dropped' };

/** SQLSTATE classes of a rule that Postgres refuses: data exceptions, and statements it cannot make sense of. */
const BROKEN_RULE_SQLSTATES = /^(22|42)/;

/**
 * Cuts the audience of a run into chunks. The audience is read before the run is locked, so that a pause or cancel never waits for a
 * long read; under the lock only the result is written, and only if the run still waits for it. Planning the same run twice, one after
 * the other or at the same time, plans it once.
 */
@Injectable()
export class PlanRun {
  constructor(
    private readonly database: Database,
    private readonly runs: RunStore,
    private readonly chunks: ChunkStore,
    private readonly outbox: Outbox,
    private readonly clock: Clock,
  ) {}

  /** @throws RecordSubjectUnknownError when the environment has no such run */
  async plan(key: RunKey): Promise<PlanOutcome> {
    const run = await this.runs.find(key.environmentId, key.runId);
    if (run === undefined) throw new RecordSubjectUnknownError(`The environment has no run ${key.runId}.`);
    if (run.state !== 'triggered') return { outcome: 'dropped' };
    const bounds = await this.findBounds(run);
    return this.database.transaction(async (tx) => {
      const locked = await this.runs.lock(key.environmentId, key.runId, tx);
      if (locked?.state !== 'triggered') return { outcome: 'dropped' };
      return typeof bounds === 'string' ? this.fail(locked, bounds, tx) : this.write(locked, bounds, tx);
    });
  }

  /** The bounds of the chunks, or why there cannot be any. */
  private async findBounds(run: Run): Promise<readonly ChunkBound[] | string> {
    let bounds: readonly ChunkBound[];
    try {
      bounds = await this.chunks.findBounds(run.environmentId, run);
    } catch (error) {
      if (!BROKEN_RULE_SQLSTATES.test(errorCodeOf(error) ?? '')) throw error;
      return 'audience_rule_broken: The rule cannot be applied to the subscribers.';
    }
    if (bounds.length > CHUNK_COUNT_MAX) return `audience_too_large: A run has at most ${CHUNK_COUNT_MAX} chunks.`;
    return bounds;
  }

  private async write(run: Run, bounds: readonly ChunkBound[], tx: Transaction): Promise<PlanOutcome> {
    const { environmentId, id: runId } = run;
    const at = this.clock.now();
    const recipients = bounds.reduce((sum, bound) => sum + bound.recipients, 0);
    await this.runs.setPlanned(environmentId, runId, { recipients, chunks: bounds.length, at }, tx);
    if (bounds.length === 0) {
      await this.runs.end(environmentId, runId, { state: 'finished', counts: emptyCounts(run.channels), finishedAt: at }, tx);
      return { outcome: 'empty' };
    }
    await this.chunks.insertPlanned(environmentId, runId, { bounds, at }, tx);
    const events = bounds.map((_, chunkNo) => ({ environment_id: environmentId, run_id: runId, chunk_no: chunkNo }));
    await this.outbox.append(campaignChunkPlannedV1, events, tx);
    return { outcome: 'planned', recipients, chunks: bounds.length };
  }

  private async fail(run: Run, reason: string, tx: Transaction): Promise<PlanOutcome> {
    const end = { state: 'failed' as const, counts: emptyCounts(run.channels), failure: reason, finishedAt: this.clock.now() };
    await this.runs.end(run.environmentId, run.id, end, tx);
    return { outcome: 'failed', reason };
  }
}
