export * from './dialects.module.js';
