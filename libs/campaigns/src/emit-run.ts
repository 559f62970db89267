import { Injectable } from '@nestjs/common';
import { campaignChunkPlannedV1, campaignRunTriggeredV1, Clock } from '#contracts';
import type { Transaction } from '#database';
import { Outbox } from '#event-log';
import { ChunkStore } from './chunk.store.js';
import type { RunKey } from './run.js';
import { RunStore } from './run.store.js';

/**
 * Hands the open work of a locked run to the pipeline once more: after a resume, for a cancel, and when the run stands still. Each
 * stage recognises what is already done, so a repeat costs work but changes no count.
 */
@Injectable()
export class EmitRun {
  constructor(
    private readonly runs: RunStore,
    private readonly chunks: ChunkStore,
    private readonly outbox: Outbox,
    private readonly clock: Clock,
  ) {}

  /** Hands a run that is not planned to planning. */
  async emitForPlanning({ environmentId, runId }: RunKey, tx: Transaction): Promise<void> {
    await this.runs.countEmission(environmentId, runId, this.clock.now(), tx);
    await this.outbox.append(campaignRunTriggeredV1, [{ environment_id: environmentId, run_id: runId }], tx);
  }

  /**
   * Hands each open chunk of a planned run to fan-out.
   *
   * @returns how many
   */
  async emitOpenChunks({ environmentId, runId }: RunKey, tx: Transaction): Promise<number> {
    const chunkNos = await this.chunks.countEmissions(environmentId, runId, this.clock.now(), tx);
    const events = chunkNos.map((chunkNo) => ({ environment_id: environmentId, run_id: runId, chunk_no: chunkNo }));
    if (events.length > 0) await this.outbox.append(campaignChunkPlannedV1, events, tx);
    return events.length;
  }
}
