#!/usr/bin/env node
/** `npm run check`: format, types, lint with type information, dependency rules and unit tests; every fault is shown, not just the first part's. */
import { spawn } from 'node:child_process';

const PARALLEL_STEPS = 2;
const STEPS = [
  { name: 'types', args: ['node_modules/typescript-native/bin/tsc', '-p', 'tsconfig.json'] },
  { name: 'types of the browser client', args: ['node_modules/typescript-native/bin/tsc', '-p', 'libs/web-sdk/tsconfig.json'] },
  { name: 'types of the service worker', args: ['node_modules/typescript-native/bin/tsc', '-p', 'libs/web-sdk/src/worker/tsconfig.json'] },
  { name: 'format', args: ['node_modules/oxfmt/bin/oxfmt', '--check', '.'] },
  { name: 'lint', args: ['node_modules/oxlint/bin/oxlint', '--type-aware', '--deny-warnings', 'apps', 'libs', 'test', 'scripts'] },
  {
    name: 'dependency rules',
    args: ['node_modules/dependency-cruiser/bin/dependency-cruise.mjs', '--config', '.dependency-cruiser.cjs', 'apps', 'libs'],
  },
  {
    name: 'unit tests',
    args: ['node_modules/vitest/vitest.mjs', 'run', '--project', 'unit*', '--reporter', 'default', '--no-color', '--silent'],
  },
];

const startedAt = performance.now();
const waiting = [...STEPS];
const failed = [];
await Promise.all(Array.from({ length: PARALLEL_STEPS }, work));
process.stdout.write(`check: ${failed.length === 0 ? 'all good' : `failed: ${failed.join(', ')}`} (${seconds(startedAt)} s)\n`);
process.exit(failed.length === 0 ? 0 : 1);

async function work() {
  for (let step = waiting.shift(); step !== undefined; step = waiting.shift()) await run(step);
}

async function run({ name, args }) {
  const stepStartedAt = performance.now();
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const output = [];
  child.stdout.on('data', (chunk) => output.push(chunk));
  child.stderr.on('data', (chunk) => output.push(chunk));
  const code = await new Promise((resolve) => child.on('close', resolve));
  process.stdout.write(`check: ${code === 0 ? 'ok    ' : 'FAILED'} ${name} (${seconds(stepStartedAt)} s)\n`);
  if (code !== 0) {
    failed.push(name);
    process.stdout.write(Buffer.concat(output));
  }
}

function seconds(since) {
  return ((performance.now() - since) / 1000).toFixed(1);
}
