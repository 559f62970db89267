import { defineConfig } from 'vitest/config';

/**
 * Sources are resolved by the `belfry-source` condition of package.json's `imports`, so tests never run against `dist`. Test files run in
 * the environment `ssr`, global setups in `__vitest__`.
 */
const resolve = { conditions: ['belfry-source', 'node'] };
const source = { resolve, ssr: { resolve }, environments: { __vitest__: { resolve } } };

/** Tests of real services wait with bounds; on a shared CI machine that stalls for seconds such a test gets a second chance, and says so. */
const RETRIES = process.env['CI'] === undefined ? 0 : 1;

const NEVER = ['**/node_modules/**', 'dist/**', '.cache/**', '.belfry/**'];

/** Registers the SDK for its whole process: every other spec would run with telemetry switched on. */
const OWN_PROCESS = 'libs/telemetry/src/telemetry-sdk.spec.ts';

/** The parts of `npm test`, one after another in this order; `npm run check` runs the unit parts alone. */
export default defineConfig({
  test: {
    reporters: ['default', './scripts/closing-line-reporter.mjs'],
    maxWorkers: 2,
    projects: [
      {
        ...source,
        test: {
          name: 'unit',
          include: ['{apps,libs,test}/**/*.spec.ts'],
          exclude: [...NEVER, OWN_PROCESS],
          // Files of one worker share their modules: loading them anew for each file took three quarters of the time.
          isolate: false,
          sequence: { groupOrder: 0 },
        },
      },
      {
        ...source,
        test: { name: 'unit-own-process', include: [OWN_PROCESS], sequence: { groupOrder: 0 } },
      },
      {
        ...source,
        test: {
          name: 'integration',
          retry: RETRIES,
          include: ['{apps,libs,test}/**/*.int-spec.ts'],
          exclude: NEVER,
          globalSetup: ['libs/testing/src/postgres.global-setup.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        ...source,
        test: {
          name: 'kafka',
          retry: RETRIES,
          include: ['{apps,libs,test}/**/*.kafka-spec.ts'],
          exclude: NEVER,
          globalSetup: ['libs/event-log/src/testing/kafka.global-setup.ts'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 2 },
        },
      },
      {
        ...source,
        test: {
          name: 'e2e',
          retry: RETRIES,
          include: ['test/{e2e,abuse}/**/*.e2e-spec.ts'],
          exclude: NEVER,
          testTimeout: 300_000,
          hookTimeout: 300_000,
          fileParallelism: false,
          sequence: { groupOrder: 3 },
        },
      },
      {
        ...source,
        test: {
          name: 'browser',
          retry: RETRIES,
          include: ['test/browser/**/*.browser-spec.ts'],
          exclude: NEVER,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
          sequence: { groupOrder: 4 },
        },
      },
      {
        ...source,
        test: {
          name: 'recipes',
          retry: RETRIES,
          include: ['test/integrators/*.recipe-spec.ts'],
          exclude: NEVER,
          testTimeout: 120_000,
          hookTimeout: 300_000,
          fileParallelism: false,
          sequence: { groupOrder: 5 },
        },
      },
    ],
  },
});
