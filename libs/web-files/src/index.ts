export { type DemoAccess, DemoLogin } from './demo-login/demo-login.js';
export { demoLoginFaults } from './demo-login/demo-login-faults.js';
export * from './web-files.config.js';
export * from './web-files.errors.js';
export * from './web-files.module.js';
