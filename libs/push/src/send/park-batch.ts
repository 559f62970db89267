import { Injectable } from '@nestjs/common';
import { Database } from '#database';
import { BatchStore, type BatchKey } from '../batch.store.js';
import { DeliveryStore, type ClaimedDelivery } from '../delivery.store.js';
import { postpone } from './decide-result.js';

/**
 * Puts the deliveries of paused runs to rest, a batch at a time and under the lock that also accepts requests: the resume asks for the
 * batch again, and that request comes either before the rest, and is seen here, or after it, and ends it. Nothing is forgotten asleep.
 */
@Injectable()
export class ParkBatch {
  constructor(
    private readonly database: Database,
    private readonly batches: BatchStore,
    private readonly deliveries: DeliveryStore,
  ) {}

  /** @param claimed deliveries of paused runs that this sender holds; it holds them no more afterwards */
  async park(claimed: readonly ClaimedDelivery[], at: Date): Promise<void> {
    const groups = new Map<string, ClaimedDelivery[]>();
    for (const delivery of claimed) {
      const key = `${delivery.environmentId}:${delivery.messageKey}:${delivery.chunkNo}`;
      groups.set(key, [...(groups.get(key) ?? []), delivery]);
    }
    for (const group of groups.values()) await this.parkGroup(group, at);
  }

  private async parkGroup(group: readonly ClaimedDelivery[], at: Date): Promise<void> {
    const [first] = group;
    if (first === undefined || first.runId === null) return;
    const key: BatchKey = { environmentId: first.environmentId, messageKey: first.messageKey, chunkNo: first.chunkNo };
    const chunk = { runId: first.runId, chunkNo: first.chunkNo };
    await this.database.transaction(async (tx) => {
      const gate = await this.batches.lockDelivery(key.environmentId, chunk, tx);
      const handedBack = group.map((delivery) => postpone(delivery, at.getTime()));
      await this.deliveries.writeResults(handedBack, at, tx);
      if (gate?.runState === 'paused') await this.deliveries.park(key, tx);
    });
  }
}
