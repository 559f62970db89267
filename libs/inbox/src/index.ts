export * from './inbox.config.js';
export * from './inbox.errors.js';
export * from './inbox.module.js';
export * from './inbox-retention.store.js';
export { InboxStore, type ChunkKey, type MessageBatch } from './inbox.store.js';
export { inboxMessageSchema, unreadCountSchema, type InboxMessage } from './message.js';
