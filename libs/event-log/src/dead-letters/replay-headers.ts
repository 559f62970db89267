import type { LogRecord } from '../event-log.js';

/** Header of a replayed record: the public id of the dead letter that it was. */
export const REPLAYED_FROM_HEADER = 'replayed-from';

/** Header of a replayed record: the one group that it is meant for. */
export const REPLAYED_FOR_HEADER = 'replayed-for';

/** False for the replay of a record that another group gave up. This group had the record when it was appended first. */
export function isMeantFor(group: string, record: Pick<LogRecord, 'headers'>): boolean {
  const only = record.headers[REPLAYED_FOR_HEADER];
  return only === undefined || only === group;
}
