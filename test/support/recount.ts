import { decodeId, encodeMessageId } from '#contracts';
import type { Database } from '#database';

/** What the rows say of a run. */
export interface RunRecount {
  readonly inbox: { readonly delivered: number };
  readonly push: { readonly delivered: number; readonly devices: Readonly<Record<string, number>> };
}

/** Counts a run from the rows of the inbox and of push alone: nothing is read that Belfry counted. */
export async function recountRun(database: Database, runId: string): Promise<RunRecount> {
  const [row] = await database.query<{ inbox: number; push: number; devices: Record<string, number> }>({
    text: `WITH this AS (SELECT environment_id, id, message_key FROM campaigns.run WHERE id = $1),
        device AS (SELECT state, subscriber_id FROM push.delivery JOIN this USING (environment_id, message_key))
      SELECT (SELECT count(*) FROM inbox.message JOIN this USING (environment_id, message_key))::integer AS inbox,
        (SELECT count(DISTINCT subscriber_id) FROM device WHERE state = 'accepted')::integer AS push,
        (SELECT coalesce(jsonb_object_agg(state, devices), '{}') FROM (SELECT state, count(*) AS devices FROM device GROUP BY state) AS by_state) AS devices`,
    values: [decodeId('run', runId)],
  });
  return { inbox: { delivered: row?.inbox ?? 0 }, push: { delivered: row?.push ?? 0, devices: row?.devices ?? {} } };
}

/** People by channel and kind of what they did with the message of a run, from the rows alone; without what nobody did. */
export async function recountEngagement(database: Database, runId: string): Promise<Record<string, Record<string, number>>> {
  const rows = await database.query<{ channel: string; kind: string; people: number }>({
    text: `SELECT receipt.channel, receipt.kind, count(DISTINCT receipt.subscriber_id)::integer AS people
      FROM engagement.receipt JOIN campaigns.run USING (environment_id, message_key) WHERE run.id = $1 GROUP BY 1, 2`,
    values: [decodeId('run', runId)],
  });
  const counts: Record<string, Record<string, number>> = {};
  for (const { channel, kind, people } of rows) counts[channel] = { ...counts[channel], [kind]: people };
  return counts;
}

/** The id of a run's message to one person, as inbox and push show it. */
export async function findMessageId(database: Database, runId: string, externalId: string): Promise<string> {
  const [row] = await database.query<{ message_key: string; id: string }>({
    text: `SELECT run.message_key, subscriber.id FROM campaigns.run JOIN subscribers.subscriber USING (environment_id)
      WHERE run.id = $1 AND subscriber.external_id = $2`,
    values: [decodeId('run', runId), externalId],
  });
  if (row === undefined) throw new Error(`There is no run ${runId}, or nobody called ${externalId}.`);
  return encodeMessageId(row.message_key, row.id);
}
