export * from './fixed-clock.js';
export * from './otlp-receiver.js';
export * from './push-service/index.js';
export * from './fuzz-runs.js';
export * from './owned-directory.js';
export * from './test-cluster.js';
export * from './test-database.js';
export * from './wait-for.js';
