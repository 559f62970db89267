import type { ConfigOf } from '#config';
import { hoursOfDays, type KeyRange, partitionedTable, type RetentionPolicy, type Sql } from '#database';
import type { inboxConfig } from './inbox.config.js';

/** What goes of the tables of inbox: old messages, by whole partitions. */
export function inboxRetention({ messageRetentionDays }: ConfigOf<typeof inboxConfig>): RetentionPolicy[] {
  return [
    {
      name: 'inbox.messages',
      removes: 'inbox messages',
      setting: 'INBOX_MESSAGE_RETENTION_DAYS',
      countedFrom: 'the trigger, by whole weeks; a week with a run that is not over stays',
      keptHours: hoursOfDays(messageRetentionDays),
      steps: [{ kind: 'partitions', table: partitionedTable('inbox.message'), isHeld: isStillDelivered }],
    },
  ];
}

/** A run that was paused for long finds its partition when it goes on. */
async function isStillDelivered({ from, to }: KeyRange, sql: Sql): Promise<boolean> {
  const [answer] = await sql.query<{ held: boolean }>({
    text: `-- every environment: a partition holds all of them
      SELECT EXISTS (SELECT FROM campaigns.run_message WHERE message_key >= $1 AND message_key < $2 AND is_open) AS held`,
    values: [from, to],
  });
  return answer?.held === true;
}
