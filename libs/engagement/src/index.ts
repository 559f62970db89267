export * from './engagement.config.js';
export * from './engagement.errors.js';
export * from './engagement.module.js';
export * from './engagement-retention.store.js';
export { EngagementRateLimit } from './engagement-rate-limit.js';
export { ENGAGEMENT_REFUSALS, type EngagementRefusal, RecordEngagement } from './record-engagement/record-engagement.js';
