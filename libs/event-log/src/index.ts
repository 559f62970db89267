export * from './event-log.js';
export * from './dead-letter-sink.js';
export * from './consume-batch.js';
