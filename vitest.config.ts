import { defineConfig } from 'vitest/config';

/**
 * Sources are resolved by the `belfry-source` condition of package.json's `imports`, so tests never run against `dist`. Test files run in
 * the environment `ssr`, global setups in `__vitest__`.
 */
const resolve = { conditions: ['belfry-source', 'node'] };
const source = { resolve, ssr: { resolve }, environments: { __vitest__: { resolve } } };

/** The parts of `npm test`; `npm run check` runs `unit` alone. */
export default defineConfig({
  test: {
    reporters: ['default'],
    projects: [
      {
        ...source,
        test: {
          name: 'unit',
          include: ['{apps,libs,test}/**/*.spec.ts'],
          exclude: ['**/node_modules/**', 'dist/**', 'test/{e2e,browser,faults,kafka}/**'],
        },
      },
      {
        ...source,
        test: {
          name: 'integration',
          include: ['{apps,libs}/**/*.int-spec.ts'],
          exclude: ['**/node_modules/**', 'dist/**'],
          globalSetup: ['libs/testing/src/postgres.global-setup.ts'],
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
