import { defineConfig, integerText, setting } from '#config';

/** Settings of engagement: how long it is kept and how much of it one client may send. */
export const engagementConfig = defineConfig('engagement', {
  retentionDays: setting('ENGAGEMENT_RETENTION_DAYS', integerText({ min: 7, max: 3_650 }).default(180), {
    describe:
      'Days after which engagement is removed, by whole weeks, counted from the trigger of the campaign; later ones are refused. Counts stay ' +
      'as long as their run.',
    example: '180',
  }),
  itemsPerMinute: setting('ENGAGEMENT_ITEMS_PER_MINUTE', integerText({ min: 1, max: 100_000_000 }).default(300_000), {
    describe: 'Items of POST /v1/engagement and clicked links per network address in one minute, per instance; further ones get 429.',
    example: '300000',
  }),
});
