export * from './belfry-config.js';
export * from './config-section.js';
export * from './config.errors.js';
export * from './config.module.js';
export * from './environment.js';
export * from './nearest-text.js';
export * from './render-configuration-doc.js';
export * from './setting.js';
