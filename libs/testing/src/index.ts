export * from './fixed-clock.js';
export * from './test-cluster.js';
export * from './test-database.js';
export * from './wait-for.js';
