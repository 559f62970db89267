import { z } from 'zod';
import { booleanText, type ConfigFault, defineConfig, integerText, listText, setting } from '#config';

const BROKER_PATTERN = /^[^\s:/,]+:\d{1,5}$/;
const HOURS_PER_YEAR = 8_760;

/** Settings of the event log. */
export const eventLogConfig = defineConfig(
  'event-log',
  {
    kafkaBrokers: setting('KAFKA_BROKERS', listText(z.string().regex(BROKER_PATTERN, { error: 'is not host:port' })).optional(), {
      describe: 'Kafka brokers, 3.9 or newer. Unset: the event log lives in Postgres, which is meant for one machine.',
      remedy: 'Write host:port, several separated by commas. `npm run kafka -- start` runs a broker on this machine.',
      example: 'kafka-1.internal:9092,kafka-2.internal:9092',
    }),
    kafkaClientId: setting('KAFKA_CLIENT_ID', z.string().min(1).max(100).default('belfry'), {
      describe: "The name under which the brokers' logs and quotas know us.",
    }),
    kafkaSsl: setting('KAFKA_SSL', booleanText().default(false), { describe: 'Speak TLS with the brokers.' }),
    kafkaSaslMechanism: setting('KAFKA_SASL_MECHANISM', z.enum(['plain', 'scram-sha-256', 'scram-sha-512']).optional(), {
      describe: 'How to log in at the brokers. Unset: without a login.',
    }),
    kafkaSaslUsername: setting('KAFKA_SASL_USERNAME', z.string().min(1).optional(), { describe: 'User name for KAFKA_SASL_MECHANISM.' }),
    kafkaSaslPassword: setting('KAFKA_SASL_PASSWORD', z.string().min(1).optional(), {
      describe: 'Password for KAFKA_SASL_MECHANISM.',
      secret: true,
    }),
    kafkaCompression: setting('KAFKA_COMPRESSION', z.enum(['none', 'gzip']).default('none'), {
      describe: 'Compression of appended records. gzip costs about 3 us of CPU a record and saves disk and network.',
    }),
    retentionHoursMax: setting('EVENT_LOG_RETENTION_HOURS_MAX', integerText({ min: 1, max: HOURS_PER_YEAR }).optional(), {
      describe:
        'Keeps records no longer than this, whatever the contract of their topic says. On Kafka it applies to topics that are created from ' +
        'now on; on Postgres records are kept for a day at least.',
    }),
    deadLetterRetentionDays: setting('EVENT_LOG_DEAD_LETTER_RETENTION_DAYS', integerText({ min: 1, max: 3_650 }).default(90), {
      describe: 'Days after which dead letters that nobody replayed or discarded are removed, counted from their failure.',
    }),
    settledDeadLetterRetentionDays: setting(
      'EVENT_LOG_SETTLED_DEAD_LETTER_RETENTION_DAYS',
      integerText({ min: 1, max: 3_650 }).default(14),
      {
        describe: 'Days after which dead letters that were replayed or discarded are removed.',
      },
    ),
    drainMs: setting('EVENT_LOG_DRAIN_MS', integerText({ min: 0, max: 600_000 }).default(10_000), {
      describe: 'How long running consumers may take to finish at shutdown before they are aborted; their batch is then delivered again.',
      remedy: 'Stay below the time that your process manager grants before it kills.',
    }),
  },
  { check: checkSasl },
);

function checkSasl(values: {
  readonly kafkaSaslMechanism?: string;
  readonly kafkaSaslUsername?: string;
  readonly kafkaSaslPassword?: string;
}): readonly ConfigFault[] {
  if (values.kafkaSaslMechanism === undefined) return [];
  const missing = [
    { key: 'KAFKA_SASL_USERNAME', value: values.kafkaSaslUsername },
    { key: 'KAFKA_SASL_PASSWORD', value: values.kafkaSaslPassword },
  ].filter(({ value }) => value === undefined);
  return missing.map(({ key }) => ({ key, problem: 'is missing although KAFKA_SASL_MECHANISM is set', remedy: 'Set it.' }));
}
