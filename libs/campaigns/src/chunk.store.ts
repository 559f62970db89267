import { Injectable } from '@nestjs/common';
import { BATCH_RECIPIENTS_MAX, CHUNK_SUBSCRIBERS_MAX } from '#contracts';
import { Database, type Sql, type Transaction } from '#database';
import { compileRule, type Rule } from '#segments';
import type { Channel } from './channels.js';
import type { RunState } from './run-state.js';

/** The upper end of one chunk and how many matched up to it; the lower end is the upper one of the chunk before. */
export interface ChunkBound {
  readonly upperId: string;
  readonly recipients: number;
}

/** Names one chunk. */
export interface ChunkKey {
  readonly runId: string;
  readonly chunkNo: number;
}

/** Whom a run addresses. Relative dates count from the trigger, in planning and in each fan-out. */
export interface AudienceRule {
  /** `null`: everybody. */
  readonly rule: Rule | null;
  readonly triggeredAt: Date;
}

/** A locked chunk and what its run says about it. */
export interface LockedChunk extends AudienceRule {
  readonly state: 'planned' | 'fanned_out';
  readonly lowerId: string;
  readonly upperId: string;
  readonly runState: RunState;
  readonly channels: readonly Channel[];
  readonly contentId: string;
  readonly messageKey: string;
  readonly expiresAt: Date;
  /** Chunks of the run as it was planned. */
  readonly plannedChunks: number;
}

/** What becomes of those who can be reached: asked for, or counted as expired or cancelled without being asked for. */
export type FanOutOutcome = 'requested' | 'expired' | 'cancelled';

/** The people of one chunk on one channel that are still to be delivered to. */
export interface OpenBatch {
  readonly channel: Channel;
  readonly recipientIds: readonly string[];
}

/** What a fan-out decided. */
export interface FanOut {
  readonly batches: readonly OpenBatch[];
  /** Set when more people matched than one batch may hold: the chunk was cut here, the rest of its range needs a chunk of its own. */
  readonly cutAfterId: string | null;
}

/** The upper end of one chunk, and how many people lie before it or are it. */
interface BoundRow {
  readonly upperId: string;
  readonly position: string;
}

/** Below every id: UUIDv7 never have it. */
const LOWEST_ID = '00000000-0000-0000-0000-000000000000';

/** SQL condition: the chunk has no final outcome yet for each of its recipients. */
export const CHUNK_IS_OPEN = `(chunk.state = 'planned' OR EXISTS (SELECT FROM campaigns.chunk_delivery AS delivery
  WHERE delivery.environment_id = chunk.environment_id AND delivery.run_id = chunk.run_id AND delivery.chunk_no = chunk.chunk_no
    AND delivery.pending > 0))`;

/** All SQL over the chunks of runs: planning, fan-out and their repeats. */
@Injectable()
export class ChunkStore {
  constructor(private readonly database: Database) {}

  /**
   * Cuts an audience: one bound after every `CHUNK_SUBSCRIBERS_MAX` people who match, in the order of their ids, and one after the
   * last. Reads the index (environment_id, id) in order, once, and gives back only the bounds.
   */
  async findBounds(environmentId: string, audience: AudienceRule, tx: Sql = this.database): Promise<ChunkBound[]> {
    const rows = await (audience.rule === null
      ? this.findBoundsOfAll(environmentId, tx)
      : this.findBoundsOfRule(environmentId, audience, tx));
    return rows.map((row, index) => ({
      upperId: row.upperId,
      recipients: Number(row.position) - Number(rows[index - 1]?.position ?? 0),
    }));
  }

  /**
   * Of everybody: steps from bound to bound through the index, which costs a fifth of numbering the people. A rule could make the planner
   * sort all who match at every step, so that rules number them; for the same reason it is told here how long a step is.
   */
  private async findBoundsOfAll(environmentId: string, tx: Sql): Promise<BoundRow[]> {
    const rows = await tx.query<BoundRow>({
      text: `WITH RECURSIVE bound (position, id) AS (
          SELECT 0::bigint, '${LOWEST_ID}'::uuid
          UNION ALL
          SELECT bound.position + ${CHUNK_SUBSCRIBERS_MAX}, (
            SELECT audience.id FROM subscribers.audience AS audience WHERE audience.environment_id = $1 AND audience.id > bound.id
            ORDER BY audience.id OFFSET ${CHUNK_SUBSCRIBERS_MAX - 1} LIMIT 1
          ) FROM bound WHERE bound.id IS NOT NULL
        ), last_bound AS (
          SELECT position, id FROM bound WHERE position = (SELECT max(position) FROM bound WHERE id IS NOT NULL)
        ), rest AS (
          SELECT person.id, last_bound.position + count(*) OVER () AS position FROM last_bound
          CROSS JOIN LATERAL (
            SELECT audience.id FROM subscribers.audience AS audience WHERE audience.environment_id = $1 AND audience.id > last_bound.id
            ORDER BY audience.id LIMIT ${CHUNK_SUBSCRIBERS_MAX}
          ) AS person
        )
        SELECT id AS "upperId", position FROM bound WHERE position > 0 AND id IS NOT NULL
        UNION ALL
        (SELECT id, position FROM rest ORDER BY id DESC LIMIT 1)`,
      values: [environmentId],
    });
    return rows.sort((left, right) => Number(left.position) - Number(right.position));
  }

  private async findBoundsOfRule(environmentId: string, audience: AudienceRule, tx: Sql): Promise<BoundRow[]> {
    const { sql, values } = compileAudience(audience, 3);
    return tx.query<BoundRow>({
      text: `SELECT id AS "upperId", position FROM (
          SELECT audience.id, row_number() OVER in_order AS position, lead(audience.id) OVER in_order IS NULL AS is_last
          FROM subscribers.audience AS audience
          WHERE audience.environment_id = $1 AND (${sql})
          WINDOW in_order AS (ORDER BY audience.id)
        ) AS matching
        WHERE is_last OR position % $2 = 0 ORDER BY id`,
      values: [environmentId, CHUNK_SUBSCRIBERS_MAX, ...values],
    });
  }

  /** Writes the chunks of a run that is locked, numbered from 0. */
  async insertPlanned(
    environmentId: string,
    runId: string,
    plan: { bounds: readonly ChunkBound[]; at: Date },
    tx: Transaction,
  ): Promise<void> {
    await tx.execute({
      text: `INSERT INTO campaigns.chunk (environment_id, run_id, chunk_no, lower_id, upper_id, planned_recipients, emitted_at)
        SELECT $1, $2, (bound.position - 1)::integer, lag(bound.upper_id) OVER (ORDER BY bound.position), bound.upper_id, bound.recipients, $5
        FROM unnest($3::uuid[], $4::integer[]) WITH ORDINALITY AS bound (upper_id, recipients, position)`,
      values: [environmentId, runId, plan.bounds.map((bound) => bound.upperId), plan.bounds.map((bound) => bound.recipients), plan.at],
    });
  }

  /** Locks a chunk until the end of the transaction; two handlers of the same chunk work one after the other. */
  async lock(environmentId: string, chunk: ChunkKey, tx: Transaction): Promise<LockedChunk | undefined> {
    const [row] = await tx.query<LockedChunk>({
      name: 'campaigns.lock-chunk',
      text: `SELECT chunk.state, coalesce(chunk.lower_id, '${LOWEST_ID}') AS "lowerId", chunk.upper_id AS "upperId", run.state AS "runState",
          run.channels, run.content_id AS "contentId", run.rule, run.message_key AS "messageKey", run.expires_at AS "expiresAt",
          run.triggered_at AS "triggeredAt", run.planned_chunks AS "plannedChunks"
        FROM campaigns.chunk
        JOIN campaigns.run ON run.environment_id = chunk.environment_id AND run.id = chunk.run_id
        WHERE chunk.environment_id = $1 AND chunk.run_id = $2 AND chunk.chunk_no = $3
        FOR NO KEY UPDATE OF chunk`,
      values: [environmentId, chunk.runId, chunk.chunkNo],
    });
    return row;
  }

  /**
   * Decides a locked chunk in one statement: who matches in its range, who is skipped and why, and writes that down for each channel.
   * What was decided stays: repeats ask for the same people.
   */
  async fanOut(
    environmentId: string,
    chunk: ChunkKey,
    decision: { range: LockedChunk; outcome: FanOutOutcome; traceparent: string | undefined; at: Date },
    tx: Transaction,
  ): Promise<FanOut> {
    const { range, outcome, traceparent, at } = decision;
    const { sql, values } = compileAudience(range, 11);
    const name = nameOfFanOut(range);
    const rows = await tx.query<{ channel: Channel; recipientIds: string[]; pending: number; cutAfterId: string | null }>({
      ...(name !== undefined && { name }),
      text: fanOutText(sql),
      values: [
        environmentId,
        range.lowerId,
        range.upperId,
        BATCH_RECIPIENTS_MAX,
        range.channels,
        chunk.runId,
        chunk.chunkNo,
        outcome,
        at,
        traceparent ?? null,
        ...values,
      ],
    });
    return {
      batches: rows.filter((row) => row.pending > 0).map(({ channel, recipientIds }) => ({ channel, recipientIds })),
      cutAfterId: rows[0]?.cutAfterId ?? null,
    };
  }

  /**
   * Gives the rest of a cut chunk's range to a new chunk at the end of the run.
   *
   * @returns the number of the new chunk
   */
  async insertRest(
    environmentId: string,
    runId: string,
    rest: { lowerId: string; upperId: string; at: Date },
    tx: Transaction,
  ): Promise<number> {
    // Two chunks of one run that are cut at the same time must not take the same number.
    await tx.query({ text: `SELECT pg_advisory_xact_lock(hashtextextended('campaigns.chunk:' || $1::text, 0))`, values: [runId] });
    const [row] = await tx.query<{ chunkNo: number }>({
      text: `INSERT INTO campaigns.chunk (environment_id, run_id, chunk_no, lower_id, upper_id, planned_recipients, emitted_at)
        SELECT $1, $2, max(chunk_no) + 1, $3, $4, 0, $5 FROM campaigns.chunk WHERE environment_id = $1 AND run_id = $2
        RETURNING chunk_no AS "chunkNo"`,
      values: [environmentId, runId, rest.lowerId, rest.upperId, rest.at],
    });
    if (row === undefined) throw new Error('An insert gave no row.');
    return row.chunkNo;
  }

  /** The batches of a chunk that were requested and are not settled. */
  async listOpenBatches(environmentId: string, chunk: ChunkKey, tx: Sql = this.database): Promise<OpenBatch[]> {
    return tx.query<OpenBatch>({
      name: 'campaigns.list-open-batches',
      text: `SELECT channel, recipient_ids AS "recipientIds" FROM campaigns.chunk_delivery
        WHERE environment_id = $1 AND run_id = $2 AND chunk_no = $3 AND pending > 0 ORDER BY channel`,
      values: [environmentId, chunk.runId, chunk.chunkNo],
    });
  }

  /** Notes that each open chunk of a locked run is handed to fan-out once more, and gives their numbers in order. */
  async countEmissions(environmentId: string, runId: string, at: Date, tx: Transaction): Promise<number[]> {
    const rows = await tx.query<{ chunkNo: number }>({
      text: `UPDATE campaigns.chunk SET emissions = emissions + 1, emitted_at = $3
        WHERE environment_id = $1 AND run_id = $2 AND ${CHUNK_IS_OPEN} RETURNING chunk_no AS "chunkNo"`,
      values: [environmentId, runId, at],
    });
    return rows.map((row) => row.chunkNo).sort((left, right) => left - right);
  }
}

/** Below it planning costs nothing that shows, and the table may be nearly empty: a plan from then must not be kept. */
const KEPT_PLAN_CHUNKS_MIN = 10;

/**
 * Everybody's statement is always the same, and planning it anew for each chunk takes a third of its time. A prepared one may keep its plan
 * until the next ANALYZE, so runs of another order of magnitude have one of their own. Those to devices have none: nothing tells how many
 * devices there are.
 *
 * @returns `undefined` where the statement is not to be prepared
 */
function nameOfFanOut({ rule, channels, plannedChunks }: LockedChunk): string | undefined {
  if (rule !== null || channels.includes('push') || plannedChunks < KEPT_PLAN_CHUNKS_MIN) return undefined;
  return `campaigns.fan-out-all-${String(plannedChunks).length}`;
}

function compileAudience({ rule, triggeredAt }: AudienceRule, firstParameter: number): { sql: string; values: readonly unknown[] } {
  return rule === null ? { sql: 'TRUE', values: [] } : compileRule(rule, { alias: 'audience', firstParameter, now: triggeredAt });
}

/**
 * $1 environment, $2 < id <= $3, $4 people at most, $5 channels, $6 run, $7 chunk, $8 outcome, $9 now, $10 traceparent, then the rule's values.
 * Reads the index range once; one person more than allowed tells that the chunk must be cut. Devices are bound by the chunk's range, so
 * that no plan reads those of everybody.
 */
function fanOutText(predicate: string): string {
  return `
    WITH candidate AS MATERIALIZED (
      SELECT audience.id, audience.unsubscribed_at IS NOT NULL AS is_unsubscribed
      FROM subscribers.audience AS audience
      WHERE audience.environment_id = $1 AND audience.id > $2 AND audience.id <= $3 AND (${predicate})
      ORDER BY audience.id LIMIT $4::integer + 1
    ), cut AS (
      SELECT id FROM candidate ORDER BY id OFFSET $4::integer - 1 LIMIT 1
    ), cut_after AS (
      SELECT id FROM cut WHERE (SELECT count(*) FROM candidate) > $4::integer
    ), decided AS (
      SELECT channel.name AS channel, candidate.id, CASE WHEN candidate.is_unsubscribed THEN 'unsubscribed'
        WHEN channel.name = 'push' AND NOT EXISTS (SELECT FROM push.reachable WHERE reachable.environment_id = $1
          AND reachable.subscriber_id = candidate.id AND reachable.subscriber_id > $2 AND reachable.subscriber_id <= $3)
          THEN 'no_device' END AS skip_reason
      FROM candidate CROSS JOIN unnest($5::text[]) AS channel (name)
      WHERE candidate.id <= coalesce((SELECT id FROM cut_after), $3)
    ), skip AS (
      SELECT channel, jsonb_object_agg(skip_reason, people) AS reasons, jsonb_object_agg(skip_reason, ids) AS recipients FROM (
        SELECT channel, skip_reason, count(*) AS people, jsonb_agg(id) AS ids FROM decided WHERE skip_reason IS NOT NULL GROUP BY channel, skip_reason
      ) AS by_reason GROUP BY channel
    ), batch AS (
      SELECT channel.name AS channel, people.* FROM unnest($5::text[]) AS channel (name) CROSS JOIN LATERAL (
        SELECT count(*)::integer AS targeted, count(*) FILTER (WHERE skip_reason IS NULL)::integer AS requested,
          coalesce(array_agg(id ORDER BY id) FILTER (WHERE skip_reason IS NULL), '{}') AS recipient_ids
        FROM decided WHERE decided.channel = channel.name
      ) AS people
    ), written AS (
      INSERT INTO campaigns.chunk_delivery (environment_id, run_id, chunk_no, channel, recipient_ids, targeted, skipped, skipped_recipients,
        expired, cancelled, pending, reported_at)
      SELECT $1, $6::uuid, $7::integer, batch.channel, batch.recipient_ids, batch.targeted, coalesce(skip.reasons, '{}'),
        coalesce(skip.recipients, '{}'),
        CASE WHEN $8::text = 'expired' THEN requested ELSE 0 END, CASE WHEN $8 = 'cancelled' THEN requested ELSE 0 END,
        CASE WHEN $8 = 'requested' THEN requested ELSE 0 END, CASE WHEN $8 = 'requested' AND requested > 0 THEN NULL ELSE $9::timestamptz END
      FROM batch LEFT JOIN skip USING (channel)
      RETURNING channel, recipient_ids, pending
    ), marked AS (
      UPDATE campaigns.chunk SET state = 'fanned_out', fanned_out_at = $9, traceparent = $10::text, upper_id = coalesce((SELECT id FROM cut_after), upper_id)
      WHERE environment_id = $1 AND run_id = $6 AND chunk_no = $7
    )
    SELECT channel, CASE WHEN pending > 0 THEN recipient_ids ELSE '{}' END AS "recipientIds", pending,
      (SELECT id FROM cut_after) AS "cutAfterId"
    FROM written ORDER BY channel`;
}
