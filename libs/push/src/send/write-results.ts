import { Injectable } from '@nestjs/common';
import { Database } from '#database';
import { DeliveryStore, type DeliveryResult, type WrittenResults } from '../delivery.store.js';

/** Writes the results of a sender back, with the devices that they give up. */
@Injectable()
export class WriteResults {
  constructor(
    private readonly database: Database,
    private readonly deliveries: DeliveryStore,
  ) {}

  /** In a transaction, which is repeated when two senders give up the same devices in another order. */
  write(results: readonly DeliveryResult[], at: Date): Promise<WrittenResults> {
    return this.database.transaction((tx) => this.deliveries.writeResults(results, at, tx));
  }
}
