import { Injectable } from '@nestjs/common';
import { campaignChunkPlannedV1, Clock, type CampaignChunkPlanned } from '#contracts';
import { Database, type Transaction } from '#database';
import { Outbox, RecordSubjectUnknownError } from '#event-log';
import { currentTraceparent } from '#telemetry';
import { CHANNEL_TOPICS } from '../channels.js';
import { ChunkStore, type ChunkKey, type FanOutOutcome, type LockedChunk, type OpenBatch } from '../chunk.store.js';
import { CloseRuns } from '../close-runs.js';

/**
 * What became of a chunk. `dropped`: its run is paused (the resume hands it on again) or over. `repeated`: it was
 * fanned out before and what is still open was requested again. `settled`: nothing of it is open.
 */
export type FanOutResult = {
  readonly outcome: 'dropped' | 'fanned_out' | 'repeated' | 'settled';
  /** Recipients that were asked for, over all channels. */
  readonly requested: number;
};

/**
 * Finds the recipients of one chunk and asks the channels to deliver to them. One transaction per chunk, under the lock of its row:
 * the decision and the requests are committed together, and a repeat asks for exactly the same people. While a run is cancelled, or
 * once it has expired, people are still found and counted, but nobody is asked for.
 */
@Injectable()
export class FanOutChunk {
  constructor(
    private readonly database: Database,
    private readonly chunks: ChunkStore,
    private readonly outbox: Outbox,
    private readonly closeRuns: CloseRuns,
    private readonly clock: Clock,
  ) {}

  /** @throws RecordSubjectUnknownError when the environment has no such chunk */
  async fanOut(event: CampaignChunkPlanned): Promise<FanOutResult> {
    const key: ChunkKey = { runId: event.run_id, chunkNo: event.chunk_no };
    const result = await this.database.transaction(async (tx) => {
      const chunk = await this.chunks.lock(event.environment_id, key, tx);
      if (chunk === undefined) throw new RecordSubjectUnknownError(`The environment has no chunk ${key.chunkNo} of a run ${key.runId}.`);
      if (chunk.runState !== 'running' && chunk.runState !== 'cancelling') return DROPPED;
      return chunk.state === 'planned' ? this.decide(event, chunk, tx) : this.repeat(event, chunk, tx);
    });
    if (result.outcome === 'settled') await this.closeRuns.closeSettled([{ environmentId: event.environment_id, runId: key.runId }]);
    return result;
  }

  private async decide(event: CampaignChunkPlanned, chunk: LockedChunk, tx: Transaction): Promise<FanOutResult> {
    const at = this.clock.now();
    const key: ChunkKey = { runId: event.run_id, chunkNo: event.chunk_no };
    const { batches, cutAfterId } = await this.chunks.fanOut(
      event.environment_id,
      key,
      { range: chunk, outcome: decideOutcome(chunk, at), traceparent: currentTraceparent(), at },
      tx,
    );
    if (cutAfterId !== null) {
      const rest = { lowerId: cutAfterId, upperId: chunk.upperId, at };
      const restNo = await this.chunks.insertRest(event.environment_id, event.run_id, rest, tx);
      await this.outbox.append(campaignChunkPlannedV1, [{ ...event, chunk_no: restNo }], tx);
    }
    const requested = await this.request(event, { chunk, batches }, tx);
    return { outcome: requested === 0 ? 'settled' : 'fanned_out', requested };
  }

  private async repeat(event: CampaignChunkPlanned, chunk: LockedChunk, tx: Transaction): Promise<FanOutResult> {
    const batches = await this.chunks.listOpenBatches(event.environment_id, { runId: event.run_id, chunkNo: event.chunk_no }, tx);
    const requested = await this.request(event, { chunk, batches }, tx);
    return { outcome: requested === 0 ? 'settled' : 'repeated', requested };
  }

  /** Also for a run that is cancelled: its delivery stage counts who got the message before the cancel. */
  private async request(
    event: CampaignChunkPlanned,
    work: { chunk: LockedChunk; batches: readonly OpenBatch[] },
    tx: Transaction,
  ): Promise<number> {
    let requested = 0;
    for (const { channel, recipientIds } of work.batches) {
      const request = {
        environment_id: event.environment_id,
        chunk: { run_id: event.run_id, chunk_no: event.chunk_no },
        message_key: work.chunk.messageKey,
        content_id: work.chunk.contentId,
        expires_at: work.chunk.expiresAt.toISOString(),
        recipient_ids: [...recipientIds],
      };
      await this.outbox.append(CHANNEL_TOPICS[channel].requested, [request], tx);
      requested += recipientIds.length;
    }
    return requested;
  }
}

const DROPPED: FanOutResult = { outcome: 'dropped', requested: 0 };

/** Cancelling wins over expiry, because a person asked for it. */
function decideOutcome(chunk: LockedChunk, now: Date): FanOutOutcome {
  if (chunk.runState === 'cancelling') return 'cancelled';
  return chunk.expiresAt <= now ? 'expired' : 'requested';
}
