import { Injectable } from '@nestjs/common';
import { Clock, type DeliveryRequested } from '#contracts';
import { Database, type Transaction } from '#database';
import { RecordSubjectUnknownError } from '#event-log';
import { currentTraceparent } from '#telemetry';
import { BatchStore, type BatchKey } from '../batch.store.js';
import { DeliveryStore } from '../delivery.store.js';
import { LaneBell } from '../lane-bell.js';
import type { PushLaneName } from '../push-delivery-state.js';
import type { PushVendor } from '../push-vendor.js';
import { SettleBatches } from '../settle/settle-batches.js';
import { decideBatch, type BatchDecision } from './decide-batch.js';

/** What became of one request, for the log. */
export interface AcceptOutcome {
  readonly decision: BatchDecision;
  /** True when the request was accepted before. */
  readonly repeated: boolean;
  /** Deliveries queued just now. */
  readonly devices: number;
}

/** The chunk number of a single message, which has no run. */
const SINGLE_CHUNK_NO = 0;

/**
 * Accepts delivery requests: one transaction per request writes a batch and a delivery per active device, and that is all. Sending is
 * the senders' work, so a slow push service never holds up a partition of the log. A repeat of a request (redelivery, resume, reconciler,
 * zombie) writes no row twice: it wakes what a pause put to rest and reports the counts once more. A request of a cancelled or
 * expired run ends what still waits.
 */
@Injectable()
export class AcceptDelivery {
  constructor(
    private readonly database: Database,
    private readonly batches: BatchStore,
    private readonly deliveries: DeliveryStore,
    private readonly settleBatches: SettleBatches,
    private readonly bell: LaneBell,
    private readonly clock: Clock,
  ) {}

  /** @throws RecordSubjectUnknownError when the environment has no such batch */
  async accept(request: DeliveryRequested, lane: PushLaneName): Promise<AcceptOutcome> {
    return this.database.transaction(async (tx) => {
      const decision = await this.decide(request, tx);
      if (decision === 'drop') return { decision, repeated: false, devices: 0 };
      return decision === 'deliver' ? this.queue(request, lane, tx) : this.end(request, decision, tx);
    });
  }

  private async decide(request: DeliveryRequested, tx: Transaction): Promise<BatchDecision> {
    const isExpired = Date.parse(request.expires_at) <= this.clock.now().getTime();
    if (request.chunk === undefined) return isExpired ? 'drop' : 'deliver';
    const chunk = { runId: request.chunk.run_id, chunkNo: request.chunk.chunk_no };
    const gate = await this.batches.lockDelivery(request.environment_id, chunk, tx);
    if (gate === undefined) throw new RecordSubjectUnknownError(`The environment has no chunk ${chunk.chunkNo} of a run ${chunk.runId}.`);
    return decideBatch(gate, isExpired);
  }

  private async queue(request: DeliveryRequested, lane: PushLaneName, tx: Transaction): Promise<AcceptOutcome> {
    const key = keyOf(request);
    const at = this.clock.now();
    const inserted = await this.batches.insert(
      request.environment_id,
      {
        ...key,
        runId: request.chunk?.run_id ?? null,
        contentId: request.content_id,
        expiresAt: request.expires_at,
        lane,
        recipientIds: [...new Set(request.recipient_ids)].sort(),
        traceparent: currentTraceparent(),
        at,
      },
      tx,
    );
    const vendors = inserted.isNew ? inserted.vendors : await this.deliveries.unpark(key, at, tx);
    if (!inserted.isNew || inserted.devices === 0) await this.settleBatches.settleIn([key], { repeat: true }, tx);
    tx.afterCommit(() => this.ring(vendors, lane));
    return { decision: 'deliver', repeated: !inserted.isNew, devices: inserted.devices };
  }

  /** Only batches of runs come here. One that was never accepted has nothing to end: all its people share the fate. */
  private async end(request: DeliveryRequested, decision: 'expire' | 'cancel', tx: Transaction): Promise<AcceptOutcome> {
    const key = keyOf(request);
    const state = decision === 'cancel' ? 'cancelled' : 'expired';
    await this.deliveries.endQueued(key, { state, at: this.clock.now() }, tx);
    const [tally] = await this.settleBatches.settleIn([key], { repeat: true }, tx);
    if (tally === undefined) await this.settleBatches.reportUnaccepted(request, state, tx);
    return { decision, repeated: tally !== undefined, devices: 0 };
  }

  private ring(vendors: readonly PushVendor[], lane: PushLaneName): void {
    if (vendors.length > 0) this.bell.ring(vendors.map((vendor) => ({ vendor, lane })));
  }
}

function keyOf(request: DeliveryRequested): BatchKey {
  const chunkNo = request.chunk?.chunk_no ?? SINGLE_CHUNK_NO;
  return { environmentId: request.environment_id, messageKey: request.message_key, chunkNo };
}
