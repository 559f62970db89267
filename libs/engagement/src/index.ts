export * from './engagement.config.js';
export * from './engagement.errors.js';
export * from './engagement.module.js';
export * from './engagement-retention.store.js';
export { ENGAGEMENT_REFUSALS, type EngagementRefusal } from './record-engagement/record-engagement.js';
