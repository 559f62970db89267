import { booleanText, defineConfig, integerText, setting } from '#config';

/** Settings of the removal of what is old; the periods are settings of the contexts that own the tables. */
export const retentionConfig = defineConfig('retention', {
  enabled: setting('RETENTION_ENABLED', booleanText().default(true), {
    describe:
      'Remove what is past its period, in the delivery apps and in `npm start`. Off: `npm run cli -- retention run` does it by hand.',
  }),
  intervalSeconds: setting('RETENTION_INTERVAL_SECONDS', integerText({ min: 1, max: 86_400 }).default(3_600), {
    describe: 'How often each policy runs, over all processes.',
    example: '3600',
  }),
  leaseSeconds: setting('RETENTION_LEASE_SECONDS', integerText({ min: 4, max: 3_600 }).default(60), {
    describe:
      'How long a process that died in the middle of a policy holds up the others. A batch that takes longer than a quarter of it is given up.',
    example: '60',
  }),
  batchRowsMax: setting('RETENTION_BATCH_ROWS_MAX', integerText({ min: 1, max: 50_000 }).default(2_000), {
    describe: 'Rows deleted in one transaction.',
    example: '2000',
  }),
  lockTimeoutMs: setting('RETENTION_LOCK_TIMEOUT_MS', integerText({ min: 10, max: 30_000 }).default(2_000), {
    describe: 'How long a removal waits for a lock before it gives up and goes on later; others may wait behind it for as long.',
    example: '2000',
  }),
  historyDays: setting('RETENTION_HISTORY_DAYS', integerText({ min: 1, max: 3_650 }).default(90), {
    describe: 'Days after which the protocol of removals is removed itself.',
  }),
});
