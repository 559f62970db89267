export * from './attribute.store.js';
export * from './profile/attribute-value.js';
export * from './profile/external-id.js';
export * from './profile/subscriber-patch.js';
export * from './profile/subscriber-profile.js';
export * from './subscriber.store.js';
export * from './subscribers.errors.js';
export * from './subscribers.limits.js';
