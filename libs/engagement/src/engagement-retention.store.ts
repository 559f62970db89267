import type { ConfigOf } from '#config';
import { hoursOfDays, type KeyRange, partitionedTable, type RetentionPolicy, type Sql } from '#database';
import type { engagementConfig } from './engagement.config.js';

/** What goes of the tables of engagement, by whole partitions. Counts name nobody, and stay as long as a run of their time shows them. */
export function engagementRetention({ retentionDays }: ConfigOf<typeof engagementConfig>): RetentionPolicy[] {
  const period = { setting: 'ENGAGEMENT_RETENTION_DAYS', keptHours: hoursOfDays(retentionDays) };
  return [
    {
      ...period,
      name: 'engagement.counts',
      removes: 'counts of engagement',
      countedFrom: 'the trigger, by whole weeks; a week with a run that still exists stays',
      steps: [{ kind: 'partitions', table: partitionedTable('engagement.message_count'), isHeld: isStillShown }],
    },
    {
      ...period,
      name: 'engagement.receipts',
      removes: 'who did what with which message',
      countedFrom: 'the trigger, by whole weeks',
      steps: [{ kind: 'partitions', table: partitionedTable('engagement.receipt') }],
    },
  ];
}

async function isStillShown({ from, to }: KeyRange, sql: Sql): Promise<boolean> {
  const [answer] = await sql.query<{ held: boolean }>({
    text: `-- every environment: a partition holds all of them
      SELECT EXISTS (SELECT FROM campaigns.run_message WHERE message_key >= $1 AND message_key < $2) AS held`,
    values: [from, to],
  });
  return answer?.held === true;
}
