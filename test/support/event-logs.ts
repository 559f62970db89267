import { findKafkaSkipReason } from '../../libs/event-log/src/testing/kafka-broker.js';

/** Where the event log of a stack lives. */
export type EventLogKind = 'kafka' | 'postgres';

/** An event log to run a whole-system test on, or why that cannot be done here. */
export interface EventLogUnderTest {
  readonly log: EventLogKind;
  readonly skipReason?: string;
}

/**
 * Both event logs. On a machine without Java or Maven the Kafka half is skipped, and says so.
 *
 * @throws KafkaUnavailableError when BELFRY_REQUIRE names kafka and there is none
 */
export async function eventLogsUnderTest(): Promise<readonly EventLogUnderTest[]> {
  const skipReason = await findKafkaSkipReason();
  if (skipReason !== undefined) process.stderr.write(`\nTHE KAFKA HALF IS SKIPPED: ${skipReason}\n\n`);
  return [{ log: 'kafka', ...(skipReason !== undefined && { skipReason }) }, { log: 'postgres' }];
}
