/**
 * Builds libs/web-sdk to dist/web-sdk: the client as one ES module, the service worker as one classic script (Firefox runs no module
 * workers), and the inbox page, whose script imports the client from where every other page gets it. Types are checked by
 * `npm run check`; here they are only removed.
 */
import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const SOURCE = join(dirname(dirname(fileURLToPath(import.meta.url))), 'libs', 'web-sdk', 'src');
const TARGET = join(dirname(dirname(fileURLToPath(import.meta.url))), 'dist', 'web-sdk');

/** Browsers from spring 2023 on: the first Safari with Web Push on phones is among them. */
const BROWSERS = 'es2022';

/** Where the gateway serves the client; the page loads it from there. */
const CLIENT_URL = '/sdk/v1/belfry.js';

const SCRIPTS = [
  { entry: 'client/index.ts', file: 'belfry.js', format: 'es' },
  { entry: 'worker/main.ts', file: 'belfry-worker.js', format: 'iife' },
  { entry: 'page/inbox.ts', file: 'inbox.js', format: 'es', plugins: [clientFromItsUrl()] },
];

const COPIED = ['page/inbox.html', 'page/inbox.css', 'page/bell.svg'];

rmSync(TARGET, { recursive: true, force: true });
mkdirSync(TARGET, { recursive: true });
await Promise.all(SCRIPTS.map(buildScript));
for (const file of COPIED) copyFileSync(join(SOURCE, file), join(TARGET, file.split('/').at(-1)));

async function buildScript({ entry, file, format, plugins = [] }) {
  await build({
    configFile: false,
    envDir: false,
    root: SOURCE,
    publicDir: false,
    logLevel: 'warn',
    plugins,
    build: {
      lib: { entry: join(SOURCE, entry), formats: [format], fileName: () => file, name: 'belfry' },
      outDir: TARGET,
      emptyOutDir: false,
      target: BROWSERS,
      minify: true,
      // Vite leaves the white space of ES modules to those who bundle them; browsers load this one as it is.
      rolldownOptions: { output: { minify: true } },
    },
  });
}

function clientFromItsUrl() {
  return {
    name: 'client-from-its-url',
    enforce: 'pre',
    resolveId: (id) => (id.endsWith('/client/index.js') ? { id: CLIENT_URL, external: 'absolute' } : undefined),
  };
}
