#!/usr/bin/env node
/**
 * The one entry of every npm script: plain node, so that it works right after `git clone`. It installs when node_modules is absent or
 * older than the lockfile, builds when a source is newer than the last build, and then runs the command.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { appFlags } from './app-flags.mjs';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const BUILD_STAMP = join(ROOT, 'dist', '.built');
const APPS = ['gateway', 'segmenter', 'push-delivery', 'inbox-delivery', 'standalone'];
const NODE_FLAGS = ['--enable-source-maps', '--disable-warning=TimeoutNegativeWarning', '--disable-warning=ExperimentalWarning'];

/** Commands by name: `needs` says what must stand first, `run` gives the program and its arguments. */
const COMMANDS = {
  build: { needs: 'install', run: (args) => (build({ clean: args.includes('--clean') }), undefined) },
  start: { needs: 'build', run: startApp },
  demo: { needs: 'build', run: (args) => appProcess('standalone', 'demo', args) },
  cli: { needs: 'build', run: (args) => appProcess('cli', 'main', args) },
  migrate: { needs: 'build', run: (args) => appProcess('cli', 'main', ['migrate', ...args]) },
  generate: { needs: 'build', run: (args) => node('dist/test/generate/main.js', args) },
  kafka: { needs: 'install', run: (args) => node('scripts/kafka.mjs', args) },
  check: { needs: 'install', run: (args) => node('scripts/check.mjs', args) },
  test: { needs: 'build', run: (args) => node('scripts/test.mjs', args) },
  bench: { needs: 'build', run: (args) => node('dist/test/bench/main.js', args) },
  abuse: { needs: 'build', run: (args) => node('dist/test/abuse/main.js', args) },
  mutation: {
    needs: 'install',
    run: (args) => node('node_modules/@stryker-mutator/core/bin/stryker.js', ['run', 'test/mutation/stryker.config.json', ...args]),
  },
  faults: { needs: 'build', run: (args) => node('dist/test/faults/main.js', args) },
};

const [name, ...args] = process.argv.slice(2);
const command = COMMANDS[name];
if (command === undefined) {
  fail(`Unknown command "${name ?? ''}". Commands: ${Object.keys(COMMANDS).join(', ')}.`);
}
install();
if (command.needs === 'build') build({ clean: false });
const program = command.run(args);
if (program !== undefined) runInForeground(program);

/** Installs the locked dependencies unless they are already there. */
function install() {
  const installed = modifiedAt(join(ROOT, 'node_modules', '.package-lock.json'));
  if (installed !== undefined && installed >= modifiedAt(join(ROOT, 'package-lock.json'))) return;
  note('installing dependencies (npm ci) …');
  runToEnd('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
}

/** Compiles apps, libs and test to dist, and bundles the browser client, unless nothing changed since the last build. */
function build({ clean }) {
  const built = modifiedAt(BUILD_STAMP);
  const sources = ['apps', 'libs', 'test', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'];
  if (!clean && built !== undefined && sources.every((source) => newestIn(join(ROOT, source)) <= built)) return;
  if (clean) rmSync(join(ROOT, 'dist'), { recursive: true, force: true });
  note('building …');
  const startedAt = new Date();
  runToEnd(process.execPath, [join(ROOT, 'node_modules/typescript-native/bin/tsc'), '-p', join(ROOT, 'tsconfig.build.json')]);
  runToEnd(process.execPath, [join(ROOT, 'scripts/build-web-sdk.mjs')]);
  writeFileSync(BUILD_STAMP, `${startedAt.toISOString()}\n`);
}

function startApp([app, ...rest]) {
  if (!APPS.includes(app)) fail(`Unknown app "${app ?? ''}". Apps: ${APPS.join(', ')}.`);
  return appProcess(app, 'main', rest);
}

/** An app of ours, with telemetry registered before anything else is loaded. */
function appProcess(app, entry, rest) {
  const telemetry = join(ROOT, 'dist/libs/telemetry/src/start-telemetry.js');
  return {
    file: process.execPath,
    args: [...NODE_FLAGS, ...appFlags(app), '--import', telemetry, join(ROOT, `dist/apps/${app}/src/${entry}.js`), ...rest],
    env: { OTEL_SERVICE_NAME: process.env.OTEL_SERVICE_NAME ?? `belfry-${app}` },
  };
}

function node(script, rest) {
  return { file: process.execPath, args: [...NODE_FLAGS, join(ROOT, script), ...rest], env: {} };
}

/** Runs a program in the user's terminal; signals reach it, and its exit code becomes ours. */
function runInForeground({ file, args: programArgs, env }) {
  const child = spawn(file, programArgs, { stdio: 'inherit', env: { ...process.env, ...env }, cwd: process.cwd() });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => fail(`Cannot start ${file}: ${error.message}`));
  child.on('exit', (code, signal) => process.exit(signal === null ? (code ?? 1) : 1));
}

/** Runs a set-up step; its output goes to stderr, so that the command's own stdout stays clean. */
function runToEnd(file, programArgs) {
  const { status, error } = spawnSync(file, programArgs, { cwd: ROOT, stdio: ['ignore', 2, 2] });
  if (error !== undefined) fail(`Cannot start ${file}: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}

function newestIn(path) {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return 0;
  if (!stat.isDirectory()) return stat.mtimeMs;
  let newest = stat.mtimeMs;
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.name !== 'node_modules') newest = Math.max(newest, newestIn(join(path, entry.name)));
  }
  return newest;
}

function modifiedAt(path) {
  return existsSync(path) ? statSync(path).mtimeMs : undefined;
}

function note(text) {
  process.stderr.write(`belfry: ${text}\n`);
}

function fail(text) {
  note(text);
  process.exit(2);
}
