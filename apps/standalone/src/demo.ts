import { connect } from 'node:net';
import { type Environment, readEnvironment } from '#config';
import { runMain, ShutdownService } from '#http';
import { demoLoginFaults } from '#web-files';
import { ApiClient } from './demo/api-client.js';
import { parseDemoOptions } from './demo/demo-options.js';
import type { DemoKeys } from './demo/demo-people.js';
import { DemoPush } from './demo/demo-push.js';
import { DemoScreen, formatSeconds } from './demo/demo-screen.js';
import { runDemo } from './demo/run-demo.js';
import { openDemoWorkspace } from './open-demo-workspace.js';
import { type Standalone, startStandalone } from './start-standalone.js';

const USUAL_PORT = 3_000;
const DEMO_DATA_DIR = '.belfry/demo';
/** Somebody of the demo's audience who has a name and gets the campaign. */
const SUGGESTED_SUBSCRIBER = 'customer-000001';

await runMain(async () => {
  const options = parseDemoOptions(process.argv.slice(2));
  const screen = new DemoScreen(process.stdout);
  const push = await DemoPush.start();
  const env = { ...(await demoEnvironment()), ...push.env };
  const hasDemoLogin = demoLoginFaults(env).length === 0;
  const standalone = await start(screen, env, hasDemoLogin);
  standalone.app.get(ShutdownService).register({ stage: 'processes', name: 'demo-push-services', run: () => push.close() });
  // A workspace of its own, so that the counts are its own.
  const keys = await openDemoWorkspace(standalone, 'Demo', hasDemoLogin ? SUGGESTED_SUBSCRIBER : undefined);
  if (hasDemoLogin) screen.done(`an inbox to watch: ${inboxPageOf(standalone.url)}`);
  const result = await runDemo({ client: new ApiClient(standalone.url, keys.apiKey), keys, push, screen }, options.subscribers);
  showPages(screen, standalone.url, keys, hasDemoLogin);
  if (options.exit) await standalone.app.get(ShutdownService).shutdown('demo finished');
  else screen.line('Ctrl-C ends it.');
  if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  if (options.exit) process.exit(0);
});

async function start(screen: DemoScreen, env: Environment, hasDemoLogin: boolean): Promise<Standalone> {
  screen.heading('Belfry, the whole pipeline in one process');
  const startedAtMs = performance.now();
  const standalone = await startStandalone(env, {
    hasDemoLogin,
    onPostgres: ({ embedded, adopted, dataDir }) =>
      screen.done(
        embedded
          ? `Postgres ${adopted ? 'was running' : 'started'} in ${dataDir} (${formatSeconds(performance.now() - startedAtMs)})`
          : 'Postgres of DATABASE_URL',
      ),
    onMigrated: () => screen.done('schema is up to date'),
  });
  screen.done(`gateway, segmenter, inbox and push delivery run at ${standalone.url} (${formatSeconds(performance.now() - startedAtMs)})`);
  screen.done('push services like those of FCM, Mozilla, Apple and Windows run beside it: strict, and they decrypt what they get');
  return standalone;
}

/** The process's environment with what suits a demo: quiet logs, this machine only, a port that is free, its own data. */
async function demoEnvironment(): Promise<Environment> {
  const defaults = {
    LOG_LEVEL: 'error',
    BELFRY_HTTP_HOST: '127.0.0.1',
    BELFRY_HTTP_PORT: (await isTaken(USUAL_PORT)) ? '0' : String(USUAL_PORT),
    BELFRY_POSTGRES_DIR: DEMO_DATA_DIR,
    PUSH_VAPID_SUBJECT: 'mailto:demo@example.com',
  };
  return { ...defaults, ...readEnvironment() };
}

function isTaken(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => (socket.destroy(), resolve(true)));
    socket.once('error', () => resolve(false));
  });
}

function inboxPageOf(url: string): string {
  return `${url}/inbox?subscriber=${SUGGESTED_SUBSCRIBER}`;
}

function showPages(screen: DemoScreen, url: string, keys: DemoKeys, hasDemoLogin: boolean): void {
  screen.heading('Pages');
  if (hasDemoLogin) screen.fact('an inbox, live', inboxPageOf(url));
  screen.fact('API, try it out', `${url}/docs`);
  screen.fact('OpenAPI document', `${url}/openapi.json`);
  screen.fact('health', `${url}/health/ready`);
  screen.fact('API key (demo only)', keys.apiKey);
  screen.line();
}
