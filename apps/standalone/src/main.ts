import { parseArgs } from 'node:util';
import { readEnvironment } from '#config';
import { runMain } from '#http';
import { startStandalone } from './start-standalone.js';
import { startWithDemoLogin } from './start-with-demo-login.js';

await runMain(() => {
  const { values } = parseArgs({ options: { 'demo-login': { type: 'boolean', default: false } } });
  return values['demo-login'] ? startWithDemoLogin(readEnvironment()) : startStandalone(readEnvironment());
});
