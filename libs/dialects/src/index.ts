export * from './core-notify/core-notify.errors.js';
export * from './dialects.module.js';
export * from './notificationapi/notificationapi.errors.js';
export { NotificationApiModule } from './notificationapi/notificationapi.module.js';
export * from './novu/novu.errors.js';
