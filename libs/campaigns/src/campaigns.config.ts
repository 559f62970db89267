import { defineConfig, integerText, setting } from '#config';

/** Settings of campaigns: how runs that stand still are found and started again. */
export const campaignsConfig = defineConfig('campaigns', {
  reconcileIntervalMs: setting('CAMPAIGNS_RECONCILE_INTERVAL_MS', integerText({ min: 100, max: 600_000 }).default(5_000), {
    describe: 'How often the segmenter looks for runs that stand still. One process at a time does it.',
    example: '5000',
  }),
  stalledAfterMs: setting('CAMPAIGNS_STALLED_AFTER_MS', integerText({ min: 1_000, max: 3_600_000 }).default(60_000), {
    describe: 'A run without any progress for so long has its open chunks requested again; the wait doubles with each repeat.',
    example: '60000',
  }),
});
