import { Injectable } from '@nestjs/common';
import { campaignDeliverySettledV1, Clock, type CampaignDeliverySettled, type DeliveryRequested } from '#contracts';
import { Database, type Transaction } from '#database';
import { Outbox } from '#event-log';
import { BatchStore, type BatchKey, type BatchTally } from '../batch.store.js';

/**
 * Counts batches and reports the counts to their runs. Counts are absolute and made under the lock of the batch's row, so that reports
 * of one batch follow each other in the order of their counts, whichever processes send. A report that was lost is made up for by the
 * next one, or by the repeat that the reconciler of campaigns asks for.
 */
@Injectable()
export class SettleBatches {
  constructor(
    private readonly database: Database,
    private readonly batches: BatchStore,
    private readonly outbox: Outbox,
    private readonly clock: Clock,
  ) {}

  /** Counts and reports those of the batches that are not settled yet. */
  async settle(keys: readonly BatchKey[]): Promise<BatchTally[]> {
    return this.database.transaction((tx) => this.settleIn(keys, { repeat: false }, tx));
  }

  /** As `settle`, for batches of which nothing may have happened: only those are reported in which nothing is open any more. */
  async settleFinished(keys: readonly BatchKey[]): Promise<BatchTally[]> {
    return this.database.transaction(async (tx) => {
      const tallies = await this.count(keys, 'open', tx);
      const finished = tallies.filter((tally) => tally.devicesOpen === 0);
      await this.report(finished, tx);
      return finished;
    });
  }

  /**
   * As `settle`, in the caller's transaction.
   * @param options.repeat report settled batches once more: somebody asks because the last report may be lost
   */
  async settleIn(keys: readonly BatchKey[], options: { repeat: boolean }, tx: Transaction): Promise<BatchTally[]> {
    const tallies = await this.count(keys, options.repeat ? 'all' : 'open', tx);
    await this.report(tallies, tx);
    return tallies;
  }

  /** Reports a request that was never accepted and never will be: all its people share one fate. */
  async reportUnaccepted(request: DeliveryRequested, fate: 'expired' | 'cancelled', tx: Transaction): Promise<void> {
    if (request.chunk === undefined) return;
    const counts = { delivered: 0, failed: {}, expired: 0, cancelled: 0, pending: 0, [fate]: new Set(request.recipient_ids).size };
    const report = { environment_id: request.environment_id, ...request.chunk, channel: 'push' as const, ...counts };
    await this.outbox.append(campaignDeliverySettledV1, [report], tx);
  }

  private async count(keys: readonly BatchKey[], which: 'open' | 'all', tx: Transaction): Promise<BatchTally[]> {
    const locked = keys.length === 0 ? [] : await this.batches.lock(keys, which, tx);
    return locked.length === 0 ? [] : this.batches.recount(locked, this.clock.now(), tx);
  }

  private async report(tallies: readonly BatchTally[], tx: Transaction): Promise<void> {
    const reports = tallies.map(toReport).filter((report) => report !== undefined);
    await this.outbox.append(campaignDeliverySettledV1, reports, tx);
  }
}

/** The report of a batch; `undefined` for a single message, which belongs to no run. */
export function toReport(tally: BatchTally): CampaignDeliverySettled | undefined {
  if (tally.runId === null) return undefined;
  const failed: Record<string, number> = { ...tally.unreachable };
  for (const [reason, people] of Object.entries(tally.failed)) failed[reason] = (failed[reason] ?? 0) + people;
  const { delivered, expired, cancelled, pending } = tally;
  return {
    environment_id: tally.environmentId,
    run_id: tally.runId,
    chunk_no: tally.chunkNo,
    channel: 'push',
    delivered,
    failed,
    expired,
    cancelled,
    pending,
  };
}
