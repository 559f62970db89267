export * from './event-log.js';
export * from './consume-batch.js';
