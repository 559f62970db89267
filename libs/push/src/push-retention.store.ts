import type { ConfigOf } from '#config';
import { hoursOfDays, type KeyRange, partitionedTable, type RetentionPolicy, rowStep, type Sql } from '#database';
import type { pushConfig } from './push.config.js';

/**
 * What goes of the tables of push. Deliveries go by partitions; the batch of a run holds the run's counts by device, so it stays as long as
 * the run. VAPID keys stay: a retired one still signs for the devices that were registered with it.
 */
export function pushRetention({ deliveryRetentionDays, deviceRetentionDays }: ConfigOf<typeof pushConfig>): RetentionPolicy[] {
  return [
    {
      name: 'push.devices',
      removes: 'devices that nobody can be reached on any more',
      setting: 'PUSH_DEVICE_RETENTION_DAYS',
      countedFrom: 'the end of the subscription, or of the subscriber',
      keptHours: hoursOfDays(deviceRetentionDays),
      steps: [
        rowStep({
          table: 'push.device',
          due: `doomed.state <> 'active' AND doomed.state_changed_at < $1`,
          age: 'doomed.state_changed_at',
        }),
        rowStep({ table: 'push.device', due: OF_UNSUBSCRIBED, age: 'doomed.last_seen_at' }),
        rowStep({ table: 'push.device', due: OF_NOBODY, age: 'doomed.last_seen_at' }),
      ],
    },
    {
      name: 'push.batches',
      removes: 'what became of delivery requests, by device',
      setting: 'PUSH_DELIVERY_RETENTION_DAYS',
      countedFrom: 'the trigger; the batches of a run stay as long as the run',
      keptHours: hoursOfDays(deliveryRetentionDays),
      steps: [rowStep({ table: 'push.batch', cutoffAs: 'uuid', due: BATCHES_DUE, age: 'doomed.created_at' })],
    },
    {
      name: 'push.deliveries',
      removes: 'push deliveries',
      setting: 'PUSH_DELIVERY_RETENTION_DAYS',
      countedFrom: 'the trigger, by whole weeks; a week with a run or batch that is not over stays',
      keptHours: hoursOfDays(deliveryRetentionDays),
      steps: [{ kind: 'partitions', table: partitionedTable('push.delivery'), isHeld: isStillDelivered }],
    },
  ];
}

/** The device of somebody who came back after unsubscribing is in use: it may get single messages. */
const OF_UNSUBSCRIBED = `doomed.state = 'active' AND doomed.last_seen_at < $1 AND EXISTS (SELECT FROM subscribers.audience AS person
  WHERE person.environment_id = doomed.environment_id AND person.id = doomed.subscriber_id AND person.unsubscribed_at < $1)`;

const OF_NOBODY = `doomed.state = 'active' AND doomed.last_seen_at < $1 AND NOT EXISTS (SELECT FROM subscribers.audience AS person
  WHERE person.environment_id = doomed.environment_id AND person.id = doomed.subscriber_id)`;

const BATCHES_DUE = `doomed.message_key < $1 AND doomed.settled_at IS NOT NULL
  AND (doomed.run_id IS NULL OR NOT EXISTS (SELECT FROM campaigns.run_state AS run
    WHERE run.environment_id = doomed.environment_id AND run.run_id = doomed.run_id))`;

/** A batch is counted from its deliveries until it is settled, and again when its run asks for a repeat. */
async function isStillDelivered({ from, to }: KeyRange, sql: Sql): Promise<boolean> {
  const [answer] = await sql.query<{ held: boolean }>({
    text: `-- every environment: a partition holds all of them
      SELECT EXISTS (SELECT FROM push.batch WHERE message_key >= $1 AND message_key < $2 AND settled_at IS NULL)
        OR EXISTS (SELECT FROM campaigns.run_message WHERE message_key >= $1 AND message_key < $2 AND is_open) AS held`,
    values: [from, to],
  });
  return answer?.held === true;
}
