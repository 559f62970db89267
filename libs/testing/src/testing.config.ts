import { z } from 'zod';
import { defineConfig, setting } from '#config';

/** Settings of the test runs. */
export const testingConfig = defineConfig('testing', {
  databaseUrl: setting('BELFRY_TEST_DATABASE_URL', z.url({ protocol: /^postgres(ql)?$/ }).optional(), {
    describe: 'A Postgres for the integration tests instead of an embedded one; its user must be allowed to create databases.',
    example: 'postgres://postgres:secret@127.0.0.1:5432/postgres',
    secret: true,
  }),
});
