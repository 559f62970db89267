import type { ConfigOf } from '#config';
import { ContentStore } from '#content';
import { hoursOfDays, type RetentionPolicy, rowStep } from '#database';
import type { campaignsConfig } from './campaigns.config.js';

/**
 * What goes of runs. A run that is not over never goes, nor does anything of it. A run that is over shows the counts that were frozen at
 * its end, so its chunks may go long before it. Campaigns and their contents stay.
 */
export function runRetention({ chunkRetentionDays, runRetentionDays }: ConfigOf<typeof campaignsConfig>): RetentionPolicy[] {
  return [
    {
      name: 'campaigns.chunks',
      removes: 'chunks of runs that are over, with their recipients and reports',
      setting: 'CAMPAIGNS_CHUNK_RETENTION_DAYS',
      countedFrom: 'the end of the run',
      keptHours: hoursOfDays(chunkRetentionDays),
      steps: chunkSteps(`${ended('run')} AND ${IS_FROZEN}`),
    },
    {
      name: 'campaigns.runs',
      removes: 'runs that are over, with what is left of their chunks',
      setting: 'CAMPAIGNS_RUN_RETENTION_DAYS',
      countedFrom: 'the end of the run',
      keptHours: hoursOfDays(runRetentionDays),
      steps: [
        ...chunkSteps(ended('run')),
        rowStep({ table: 'campaigns.run', due: ended('doomed'), age: 'doomed.finished_at', after: WITHOUT_CHUNKS }),
      ],
    },
  ];
}

/** What goes of single messages. One that an inbox shows, or of which push knows what became of it, stays with its content. */
export function messageRetention({ messageRetentionDays }: ConfigOf<typeof campaignsConfig>): RetentionPolicy[] {
  return [
    {
      name: 'campaigns.messages',
      removes: 'single messages and their contents',
      setting: 'CAMPAIGNS_MESSAGE_RETENTION_DAYS',
      countedFrom: 'their acceptance; one that an inbox or push still holds stays',
      keptHours: hoursOfDays(messageRetentionDays),
      steps: [MESSAGES],
    },
  ];
}

function ended(run: string): string {
  return `${run}.state IN ('finished', 'cancelled', 'failed') AND ${run}.finished_at < $1`;
}

/** The counts of the run do not need its chunks any more. */
const IS_FROZEN = 'run.counts IS NOT NULL';

const WITHOUT_CHUNKS = `NOT EXISTS (SELECT FROM campaigns.chunk AS chunk
    WHERE chunk.environment_id = doomed.environment_id AND chunk.run_id = doomed.id)
  AND NOT EXISTS (SELECT FROM campaigns.chunk_delivery AS delivery
    WHERE delivery.environment_id = doomed.environment_id AND delivery.run_id = doomed.id)`;

/** The parts of the runs that a condition names. */
function chunkSteps(run: string) {
  const due = `(doomed.environment_id, doomed.run_id) IN (SELECT run.environment_id, run.id FROM campaigns.run AS run WHERE ${run})`;
  return [
    rowStep({ table: 'campaigns.chunk_delivery', due, age: 'doomed.reported_at' }),
    rowStep({ table: 'campaigns.chunk', due, age: 'doomed.emitted_at' }),
  ];
}

/** The lookups stand alone, so that a planner asks the indexes row by row and never reads an inbox table. */
const MESSAGES = rowStep({
  table: 'campaigns.single_message',
  cutoffAs: 'uuid',
  due: `doomed.message_key < $1 AND doomed.expires_at < now()
    AND (SELECT message.message_key FROM inbox.message_delivery AS message WHERE message.environment_id = doomed.environment_id
      AND message.subscriber_id = doomed.subscriber_id AND message.message_key = doomed.message_key LIMIT 1) IS NULL
    AND (SELECT message.message_key FROM push.message_batch AS message WHERE message.environment_id = doomed.environment_id
      AND message.message_key = doomed.message_key LIMIT 1) IS NULL`,
  age: 'doomed.created_at',
  returning: 'environment_id, content_id',
  withEach: {
    table: 'content.content',
    remove: (rows, tx) =>
      ContentStore.remove(
        rows.map((row) => ({ environmentId: row['environment_id'] ?? '', contentId: row['content_id'] ?? '' })),
        tx,
      ),
  },
});
