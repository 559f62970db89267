export * from './fake-push-service.js';
export * from './push-service-process.js';
export type * from './push-service-types.js';
export { decryptMessage } from './decrypt-message.js';
