import { readEnvironment } from '#config';
import { runMain } from '#http';
import { startStandalone } from './start-standalone.js';

await runMain(() => startStandalone(readEnvironment()));
