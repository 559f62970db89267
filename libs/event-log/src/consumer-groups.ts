import type { MessageHandler } from '@nestjs/microservices';
import type { ConsumeBatchExtras } from './consume-batch.js';
import { ConsumerConflictError } from './event-log.errors.js';

/** One `@ConsumeBatch` method as Nest hands it over. */
export interface Consumer {
  readonly callback: MessageHandler;
  readonly extras: ConsumeBatchExtras;
}

/** All consumers of one group: they become one subscription, because the members of a group must agree on its topics. */
export interface ConsumerGroup {
  readonly group: string;
  readonly broadcast: boolean;
  readonly concurrency: number;
  readonly batchRecordsMax: number;
  readonly byTopic: ReadonlyMap<string, Consumer>;
}

/**
 * Sorts consumers into groups.
 * @throws ConsumerConflictError (`consumer_conflict`) when two consumers claim one topic of one group, or differ in their options
 */
export function groupConsumers(consumers: readonly Consumer[]): ConsumerGroup[] {
  const groups = new Map<string, ConsumerGroup & { byTopic: Map<string, Consumer> }>();
  for (const consumer of consumers) {
    const { group, contract, concurrency, batchRecordsMax, broadcast = false } = consumer.extras;
    const existing = groups.get(group) ?? { group, broadcast, concurrency, batchRecordsMax, byTopic: new Map<string, Consumer>() };
    if (existing.byTopic.has(contract.topic)) {
      throw new ConsumerConflictError(`Two consumers claim the topic "${contract.topic}" in the group "${group}".`);
    }
    if (existing.concurrency !== concurrency || existing.batchRecordsMax !== batchRecordsMax || existing.broadcast !== broadcast) {
      throw new ConsumerConflictError(`The consumers of the group "${group}" differ in concurrency, batchRecordsMax or broadcast.`);
    }
    existing.byTopic.set(contract.topic, consumer);
    groups.set(group, existing);
  }
  return [...groups.values()];
}
