import { applyDecorators, UseFilters } from '@nestjs/common';
import { EventPattern } from '@nestjs/microservices';
import type { TopicContract } from '#contracts';
import { RethrowFilter } from './rethrow.filter.js';

/** Transport id of the event log among Nest's microservice transports. */
export const EVENT_LOG_TRANSPORT = Symbol('event-log');

/** How one handler consumes its topic. */
export interface ConsumeBatchOptions {
  /** Consumer group, `<app>.<slice>`. All consumers of one group have the same options. */
  readonly group: string;
  /** Every process reads every record, from the moment it starts. */
  readonly broadcast?: boolean;
  /** Partitions handled at the same time in this process. */
  readonly concurrency: number;
  /** Records handed over at once. */
  readonly batchRecordsMax: number;
}

/** What the decorator leaves for `EventLogServer`. */
export interface ConsumeBatchExtras extends ConsumeBatchOptions {
  readonly contract: TopicContract<never>;
}

/** A decoded record together with where it came from. */
export interface ReceivedEvent<Event> {
  readonly event: Event;
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly headers: Readonly<Record<string, string>>;
  readonly appendedAt: Date;
  /** The span of this process below which the work for this record belongs; absent while nothing is traced. @see withRecordSpan */
  readonly traceparent?: string;
}

/**
 * Makes a controller method the consumer of a topic. The method gets `(@Payload() events: readonly ReceivedEvent<E>[], @Ctx()
 * context: BatchContext)`; each event has passed the contract's schema. Resolving finishes the whole batch; throwing follows
 * `dispositionOf`: retry with backoff, then record by record, then dead letter; or pause while the infrastructure is down.
 */
export function ConsumeBatch<Event>(contract: TopicContract<Event>, options: ConsumeBatchOptions): MethodDecorator {
  const extras: ConsumeBatchExtras = { ...options, contract: contract as unknown as TopicContract<never> };
  return applyDecorators(
    EventPattern(contract.topic, EVENT_LOG_TRANSPORT, { ...extras }) as MethodDecorator,
    UseFilters(new RethrowFilter()),
  );
}
