export * from './data-source.js';
export * from './database.js';
export * from './database.config.js';
export * from './database.errors.js';
export * from './database.module.js';
export * from './database-log.js';
export type { OnNotify } from './notification-listener.js';
export * from './open-database.js';
