import { defineConfig, integerText, setting } from '#config';

/** Settings of subscribers. */
export const subscribersConfig = defineConfig('subscribers', {
  importRetentionDays: setting('SUBSCRIBERS_IMPORT_RETENTION_DAYS', integerText({ min: 1, max: 3_650 }).default(90), {
    describe: 'Days after which imports and their rejected lines are removed, counted from the end of the import. Subscribers stay.',
  }),
});
