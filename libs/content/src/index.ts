export * from './content.js';
export * from './content.errors.js';
export * from './content.module.js';
export * from './content.store.js';
export { TEMPLATE_FILTERS, TEMPLATE_ROOT, TEMPLATE_TAGS } from './liquid.js';
export * from './render-content.js';
export * from './safe-url.js';
