import { defineConfig, integerText, setting } from '#config';
import { HEARTBEAT_MS_MAX } from '#http';

/** Settings of the inbox: how long messages are kept and how many streams a gateway holds. */
export const inboxConfig = defineConfig('inbox', {
  messageRetentionDays: setting('INBOX_MESSAGE_RETENTION_DAYS', integerText({ min: 7, max: 3_650 }).default(180), {
    describe: 'Days after which inbox messages are removed, by whole weeks, counted from the trigger of their campaign.',
    example: '180',
  }),
  streamsPerSubscriberMax: setting('INBOX_STREAMS_PER_SUBSCRIBER_MAX', integerText({ min: 1, max: 1_000 }).default(20), {
    describe: 'Live streams that one subscriber may hold open on one gateway process.',
    example: '20',
  }),
  streamsPerProcessMax: setting('INBOX_STREAMS_PER_PROCESS_MAX', integerText({ min: 1, max: 1_000_000 }).default(20_000), {
    describe: 'Live streams that one gateway process holds open.',
    example: '20000',
  }),
  streamHeartbeatMs: setting('INBOX_STREAM_HEARTBEAT_MS', integerText({ min: 1_000, max: HEARTBEAT_MS_MAX }).default(20_000), {
    describe: 'Milliseconds between heartbeats of a live stream; keep it below the idle timeout of proxies in front.',
    example: '20000',
  }),
});
