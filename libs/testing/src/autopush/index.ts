/**
 * A push service for real browsers. It stands beside the lib's index and not in it: it needs `ws`, which only development installs, and
 * the index is part of what is shipped.
 */
export * from './autopush-server.js';
export type { AutopushMessage, AutopushSubscription } from './user-agents.js';
