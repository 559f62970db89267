export * from './event-log.js';
export * from './dead-letter-sink.js';
export * from './consume-batch.js';
export * from './dead-letters/dead-letter.store.js';
export * from './outbox/outbox.js';
export * from './outbox/outbox-relay.js';
export type { OutboxLane, OutboxLaneStats } from './outbox/outbox.store.js';
export * from './postgres/postgres-event-log.js';
