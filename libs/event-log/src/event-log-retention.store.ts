import type { ConfigOf } from '#config';
import { TOPICS } from '#contracts';
import { hoursOfDays, partitionedTable, type RetentionPolicy, rowStep } from '#database';
import type { eventLogConfig } from './event-log.config.js';

/** Partitions of records are days: a shorter period would drop what is being made. */
const RECORD_HOURS_MIN = 24;

/**
 * What goes of the event log's own tables. An outbox row is no matter of age: it goes when it was appended and must not go before. With
 * Kafka the records are the brokers' business and the table is empty.
 */
export function eventLogRetention(config: ConfigOf<typeof eventLogConfig>): RetentionPolicy[] {
  const { retentionHoursMax = Infinity, deadLetterRetentionDays, settledDeadLetterRetentionDays } = config;
  const longestHours = Math.max(...TOPICS.map((topic) => topic.retentionHours));
  const table = 'event_log.dead_letter';
  return [
    {
      name: 'event_log.records',
      removes: 'records of the event log on Postgres',
      setting: 'EVENT_LOG_RETENTION_HOURS_MAX',
      countedFrom: 'their append',
      keptHours: Math.max(Math.min(longestHours, retentionHoursMax), RECORD_HOURS_MIN),
      steps: [{ kind: 'partitions', table: partitionedTable('event_log.record') }],
    },
    {
      name: 'event_log.settled_dead_letters',
      removes: 'dead letters that were replayed or discarded',
      setting: 'EVENT_LOG_SETTLED_DEAD_LETTER_RETENTION_DAYS',
      countedFrom: 'the replay or discard',
      keptHours: hoursOfDays(settledDeadLetterRetentionDays),
      steps: [rowStep({ table, due: 'doomed.settled_at < $1', age: 'doomed.settled_at' })],
    },
    {
      name: 'event_log.dead_letters',
      removes: 'dead letters that nobody settled',
      setting: 'EVENT_LOG_DEAD_LETTER_RETENTION_DAYS',
      countedFrom: 'the failure',
      keptHours: hoursOfDays(deadLetterRetentionDays),
      steps: [rowStep({ table, due: 'doomed.settled_at IS NULL AND doomed.failed_at < $1', age: 'doomed.failed_at' })],
    },
  ];
}
