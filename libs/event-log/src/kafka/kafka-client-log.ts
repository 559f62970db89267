import { type logCreator, logLevel } from 'kafkajs';
import type { WideLogger } from '#telemetry';

/**
 * What kafkajs reports as an error although it belongs to an ordinary day: groups that rebalance, coordinators that move or load,
 * metadata that is refreshed. It deals with each of them itself.
 */
const ROUTINE = [
  /rebalanc/i,
  /re-?join/i,
  /not aware of this member/i,
  /coordinator/i,
  /leader/i,
  /does not host this topic-partition/i,
  /generation id/i,
  /consumer not running/i,
];

/**
 * Brings the lines of kafkajs into our log. Nothing of it is an `error`: what needs a person is logged by our own code, which knows
 * the group and the consequence.
 */
export function kafkaClientLog(log: WideLogger): logCreator {
  return () =>
    ({ namespace, level, log: entry }) => {
      const { message, error, groupId, broker } = entry as { message: string; error?: unknown; groupId?: unknown; broker?: unknown };
      const fields = { component: namespace, message, detail: typeof error === 'string' ? error : undefined, group: groupId, broker };
      const isRoutine = ROUTINE.some((pattern) => pattern.test(message) || (typeof error === 'string' && pattern.test(error)));
      if (level === logLevel.ERROR && !isRoutine) log.warn('kafka.client.reported', fields);
      else log.debug('kafka.client.reported', fields);
    };
}
