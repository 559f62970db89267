import { Injectable } from '@nestjs/common';
import type { EngagementRecorded } from '#contracts';
import { Database, type Sql } from '#database';

/** All SQL of engagement. */
@Injectable()
export class EngagementStore {
  constructor(private readonly database: Database) {}

  /**
   * Writes engagement of any environments and raises the counts by what is new, in one statement: neither exists without the other,
   * and a repeat, in the same batch, in a later one or in one at the same time, counts nothing.
   *
   * Every caller locks in one order (all receipts by their key, then all counts by theirs), so nobody waits in a circle. The counts
   * come last, because the callers of one run meet there: they are held only until the statement commits.
   *
   * @returns how many were new
   */
  async record(events: readonly EngagementRecorded[], tx: Sql = this.database): Promise<number> {
    const [row] = await tx.query<{ recorded: number }>({
      name: 'engagement.record',
      text: RECORD,
      values: [
        events.map((event) => event.environment_id),
        events.map((event) => event.message_key),
        events.map((event) => event.subscriber_id),
        events.map((event) => event.channel),
        events.map((event) => event.kind),
        events.map((event) => event.occurred_at),
      ],
    });
    return row?.recorded ?? 0;
  }
}

/** Of repeats within one batch the earliest is kept: they are written in the order of their times. */
const RECORD = `
  WITH recorded AS (
    INSERT INTO engagement.receipt (environment_id, message_key, subscriber_id, channel, kind, occurred_at)
    SELECT environment_id, message_key, subscriber_id, channel, kind, occurred_at
    FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::timestamptz[])
      AS event (environment_id, message_key, subscriber_id, channel, kind, occurred_at)
    ORDER BY message_key, subscriber_id, channel, kind, occurred_at
    ON CONFLICT DO NOTHING
    RETURNING environment_id, message_key, channel, kind
  ), counted AS (
    INSERT INTO engagement.message_count AS known (environment_id, message_key, channel, kind, subscribers)
    SELECT environment_id, message_key, channel, kind, count(*)::integer FROM recorded
    GROUP BY environment_id, message_key, channel, kind
    ORDER BY environment_id, message_key, channel, kind
    ON CONFLICT (environment_id, message_key, channel, kind) DO UPDATE SET subscribers = known.subscribers + excluded.subscribers
  )
  SELECT count(*)::integer AS recorded FROM recorded`;
