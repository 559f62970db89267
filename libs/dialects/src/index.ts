export * from './core-notify/core-notify.errors.js';
export * from './dialects.module.js';
