import { defineConfig, integerText, setting } from '#config';

/** Settings of campaigns: how runs that stand still are found and started again, and how long runs and messages are kept. */
export const campaignsConfig = defineConfig('campaigns', {
  reconcileIntervalMs: setting('CAMPAIGNS_RECONCILE_INTERVAL_MS', integerText({ min: 100, max: 600_000 }).default(5_000), {
    describe: 'How often the segmenter looks for runs that stand still. One process at a time does it.',
    example: '5000',
  }),
  stalledAfterMs: setting('CAMPAIGNS_STALLED_AFTER_MS', integerText({ min: 1_000, max: 3_600_000 }).default(60_000), {
    describe: 'A run without any progress for so long has its open chunks requested again; the wait doubles with each repeat.',
    example: '60000',
  }),
  chunkRetentionDays: setting('CAMPAIGNS_CHUNK_RETENTION_DAYS', integerText({ min: 1, max: 3_650 }).default(90), {
    describe:
      'Days after which the chunks of a run that is over are removed, with the ids of their recipients, counted from its end. Its counts stay.',
  }),
  runRetentionDays: setting('CAMPAIGNS_RUN_RETENTION_DAYS', integerText({ min: 1, max: 3_650 }).default(400), {
    describe: 'Days after which a run that is over is removed, with its part of the statistics of its campaign, counted from its end.',
  }),
  messageRetentionDays: setting('CAMPAIGNS_MESSAGE_RETENTION_DAYS', integerText({ min: 7, max: 3_650 }).default(180), {
    describe:
      'Days after which single messages are removed, with their content, counted from their acceptance. One stays while an inbox holds it.',
  }),
});
