import { defineConfig } from 'vitest/config';

/** Sources are resolved by the `belfry-source` condition of package.json's `imports`, so tests never run against `dist`. */
const source = { resolve: { conditions: ['belfry-source'] }, ssr: { resolve: { conditions: ['belfry-source'] } } };

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
