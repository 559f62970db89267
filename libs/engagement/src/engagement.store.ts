import { Injectable } from '@nestjs/common';
import type { EngagementChannel, EngagementKind, EngagementRecorded } from '#contracts';
import { Database, type Sql } from '#database';

/** How much of one kind was new. */
export interface RecordedKind {
  readonly channel: EngagementChannel;
  readonly kind: EngagementKind;
  readonly recorded: number;
}

/** Engagement whose trace is looked for. */
export interface TraceQuestion {
  readonly environmentId: string;
  readonly messageKey: string;
  readonly subscriberId: string;
  /** True: also when it is a campaign's message. Single messages are always looked for. */
  readonly ofCampaign: boolean;
}

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
   * @returns how many were new, by channel and kind
   */
  async record(events: readonly EngagementRecorded[], tx: Sql = this.database): Promise<RecordedKind[]> {
    return tx.query<RecordedKind>({
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
  }

  /** The traces in which messages were sent, as traceparent texts in the order of the questions; `undefined` where there is none. */
  async findTraces(questions: readonly TraceQuestion[], tx: Sql = this.database): Promise<(string | undefined)[]> {
    const rows = await tx.query<{ position: number; traceparent: string }>({
      name: 'engagement.find-traces',
      text: FIND_TRACES,
      values: [
        questions.map(({ environmentId }) => environmentId),
        questions.map(({ messageKey }) => messageKey),
        questions.map(({ subscriberId }) => subscriberId),
        questions.map(({ ofCampaign }) => ofCampaign),
      ],
    });
    const found = new Map(rows.map(({ position, traceparent }) => [position, traceparent]));
    return questions.map((_, index) => found.get(index + 1));
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
  SELECT channel, kind, count(*)::integer AS recorded FROM recorded GROUP BY channel, kind`;

/** The view is published by campaigns; a single message has no bounds. */
const FIND_TRACES = `
  SELECT question.position::integer AS position, trace.traceparent
  FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::boolean[]) WITH ORDINALITY
    AS question (environment_id, message_key, subscriber_id, of_campaign, position)
  CROSS JOIN LATERAL (
    SELECT traceparent FROM campaigns.message_trace
    WHERE message_trace.environment_id = question.environment_id AND message_trace.message_key = question.message_key
      AND (message_trace.run_id IS NULL OR (question.of_campaign AND question.subscriber_id <= message_trace.upper_id
        AND (message_trace.lower_id IS NULL OR question.subscriber_id > message_trace.lower_id)))
    LIMIT 1
  ) AS trace`;
