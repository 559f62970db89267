export * from './kept-tables.js';
export * from './policies.js';
export * from './render-retention-tables.js';
export * from './retention.config.js';
export * from './retention.errors.js';
export * from './retention.module.js';
export { type LeaseState, type RetentionOutcome, type RetentionRun, RetentionStore } from './retention.store.js';
export { type PolicyRun, type RunOutcome, RunPolicy, type RunPolicyOptions } from './run-policy.js';
export { type PolicySurvey, SurveyPolicy } from './survey-policy.js';
