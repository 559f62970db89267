export { audienceSchema, type Audience, type AudienceInput } from './audience.js';
export * from './campaigns.config.js';
export * from './campaigns.errors.js';
export * from './campaigns.module.js';
export * from './campaigns-retention.store.js';
export { CHANNELS, CHANNEL_TOPICS, type Channel, type ChannelTopics } from './channels.js';
export { imbalanceOf, sumReasons, type ChannelTally, type RunCounts } from './run-counts.js';
export { runResourceSchema, type RunResource } from './read-runs/run-resource.js';
export { canTransition, isTerminal, RUN_STATES, RUN_TRANSITIONS, type RunState } from './run-state.js';
