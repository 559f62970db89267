import { z } from 'zod';
import { defineConfig, integerText, setting } from '#config';

/** Log levels, from the most talkative to silence. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

/** Settings of the logs, and how much of a campaign is traced. Where traces and metrics go is said by the standard `OTEL_*` variables alone. */
export const telemetryConfig = defineConfig('telemetry', {
  logLevel: setting('LOG_LEVEL', z.enum(LOG_LEVELS).default('info'), {
    describe: 'The least severe log event that is written.',
    remedy: `One of ${LOG_LEVELS.join(', ')}.`,
  }),
  logFormat: setting('LOG_FORMAT', z.enum(['auto', 'json', 'pretty']).default('auto'), {
    describe: 'How log events are written; `auto` means `pretty` on a terminal and `json` elsewhere.',
    remedy: 'One of auto, json, pretty.',
  }),
  deliveriesPerMille: setting('TRACE_DELIVERIES_PER_MILLE', integerText({ min: 0, max: 1_000 }).default(10), {
    describe:
      'How many of 1,000 messages of a campaign get spans of their own for delivery and engagement. Single messages and failures always do.',
    example: '10',
  }),
});
