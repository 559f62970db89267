import { defineConfig } from 'vitest/config';

const resolve = { conditions: ['belfry-source', 'node'] };

/** The unit tests of the verifier alone, for mutation tests (docs/identity/verification.md). */
export default defineConfig({
  resolve,
  ssr: { resolve },
  test: { include: ['libs/identity/src/verify/*.spec.ts'], pool: 'threads' },
});
