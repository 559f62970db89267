import { Injectable } from '@nestjs/common';
import { Database, type Sql, type Statement, type Transaction } from '#database';
import type { Rule } from '#segments';
import type { Channel } from './channels.js';
import type { DeviceCounts, ReasonCounts, RunCounts, RunTally } from './run-counts.js';
import { RATE_WINDOW_SECONDS } from './run-counts.js';
import type { RunState } from './run-state.js';
import type { Run, RunKey } from './run.js';

/** What a trigger fixes for the whole life of a run. */
export interface NewRun {
  readonly id: string;
  readonly campaignId: string;
  readonly channels: readonly Channel[];
  readonly contentId: string;
  readonly rule: Rule | null;
  readonly messageKey: string;
  readonly expiresAt: Date;
  readonly traceparent: string | undefined;
  readonly triggeredAt: Date;
}

/** How a run ends. */
export interface RunEnd {
  readonly state: 'finished' | 'cancelled' | 'failed';
  readonly counts: RunCounts;
  readonly failure?: string;
  readonly finishedAt: Date;
}

const RUN_COLUMNS = `environment_id AS "environmentId", id, campaign_id AS "campaignId", state, channels, content_id AS "contentId", rule,
  message_key AS "messageKey", expires_at AS "expiresAt", planned_recipients AS "plannedRecipients", planned_chunks AS "plannedChunks",
  counts, failure, traceparent, triggered_at AS "triggeredAt", planned_at AS "plannedAt", finished_at AS "finishedAt"`;

/** A run whose chunks are all fanned out and whose batches are all settled: nothing is left but to close it. */
const IS_SETTLED = `run.state IN ('running', 'cancelling')
  AND NOT EXISTS (SELECT FROM campaigns.chunk
    WHERE chunk.environment_id = run.environment_id AND chunk.run_id = run.id AND chunk.state = 'planned')
  AND NOT EXISTS (SELECT FROM campaigns.chunk_delivery
    WHERE chunk_delivery.environment_id = run.environment_id AND chunk_delivery.run_id = run.id AND chunk_delivery.pending > 0)`;

/**
 * All SQL over runs. Whoever changes the state of a run, or of several of its chunks, locks the run's row first (`lock`): run before
 * chunk before delivery, so that nobody waits in a circle.
 */
@Injectable()
export class RunStore {
  constructor(private readonly database: Database) {}

  async insert(environmentId: string, run: NewRun, tx: Sql = this.database): Promise<void> {
    const { id, campaignId, channels, contentId, rule, messageKey, expiresAt, traceparent, triggeredAt } = run;
    await tx.execute({
      text: `INSERT INTO campaigns.run (environment_id, id, campaign_id, state, channels, content_id, rule, message_key, expires_at,
          traceparent, triggered_at, emitted_at)
        VALUES ($1, $2, $3, 'triggered', $4, $5, $6, $7, $8, $9, $10, $10)`,
      values: [
        environmentId,
        id,
        campaignId,
        channels,
        contentId,
        rule === null ? null : JSON.stringify(rule),
        messageKey,
        expiresAt,
        traceparent ?? null,
        triggeredAt,
      ],
    });
  }

  /** The run, or `undefined` when this environment has none of that id. */
  async find(environmentId: string, runId: string, tx: Sql = this.database): Promise<Run | undefined> {
    const [run] = await tx.query<Run>(findRun(environmentId, runId, ''));
    return run;
  }

  /** The run, locked until the end of the transaction. */
  async lock(environmentId: string, runId: string, tx: Transaction): Promise<Run | undefined> {
    const [run] = await tx.query<Run>(findRun(environmentId, runId, 'FOR NO KEY UPDATE'));
    return run;
  }

  /** The runs of a campaign, newest first, those before the run `before`. */
  async listByCampaign(
    environmentId: string,
    page: { campaignId: string; limit: number; before?: string },
    tx: Sql = this.database,
  ): Promise<Run[]> {
    return tx.query<Run>({
      text: `SELECT ${RUN_COLUMNS} FROM campaigns.run
        WHERE environment_id = $1 AND campaign_id = $2 AND ($3::uuid IS NULL OR id < $3) ORDER BY id DESC LIMIT $4`,
      values: [environmentId, page.campaignId, page.before ?? null, page.limit],
    });
  }

  /** Changes the state of a locked run that goes on. */
  async setState(environmentId: string, runId: string, state: RunState, tx: Transaction): Promise<void> {
    await tx.execute({
      text: 'UPDATE campaigns.run SET state = $3 WHERE environment_id = $1 AND id = $2',
      values: [environmentId, runId, state],
    });
  }

  /** Marks a locked run as planned and running. */
  async setPlanned(
    environmentId: string,
    runId: string,
    plan: { recipients: number; chunks: number; at: Date },
    tx: Transaction,
  ): Promise<void> {
    await tx.execute({
      text: `UPDATE campaigns.run SET state = 'running', planned_recipients = $3, planned_chunks = $4, planned_at = $5
        WHERE environment_id = $1 AND id = $2`,
      values: [environmentId, runId, plan.recipients, plan.chunks, plan.at],
    });
  }

  /** Ends a locked run; its counts are final. */
  async end(environmentId: string, runId: string, end: RunEnd, tx: Transaction): Promise<void> {
    await tx.execute({
      text: `UPDATE campaigns.run SET state = $3, counts = $4, failure = $5, finished_at = $6,
          planned_recipients = coalesce(planned_recipients, 0), planned_chunks = coalesce(planned_chunks, 0)
        WHERE environment_id = $1 AND id = $2`,
      values: [environmentId, runId, end.state, JSON.stringify(end.counts), end.failure ?? null, end.finishedAt],
    });
  }

  /** Notes that a locked run is handed to planning once more. */
  async countEmission(environmentId: string, runId: string, at: Date, tx: Transaction): Promise<void> {
    await tx.execute({
      text: 'UPDATE campaigns.run SET emissions = emissions + 1, emitted_at = $3 WHERE environment_id = $1 AND id = $2',
      values: [environmentId, runId, at],
    });
  }

  /** Those of the given runs that are settled but not closed. */
  async findSettled(runs: readonly RunKey[], tx: Sql = this.database): Promise<RunKey[]> {
    return tx.query<RunKey>({
      name: 'campaigns.find-settled-runs',
      text: `SELECT run.environment_id AS "environmentId", run.id AS "runId"
        FROM unnest($1::uuid[], $2::uuid[]) AS candidate (environment_id, id)
        JOIN campaigns.run USING (environment_id, id)
        WHERE ${IS_SETTLED}`,
      values: [runs.map((run) => run.environmentId), runs.map((run) => run.runId)],
    });
  }

  /** Settled runs that nobody closed, oldest first. */
  async listSettled(limit: number, tx: Sql = this.database): Promise<RunKey[]> {
    return tx.query<RunKey>({
      text: `-- every environment: the reconciler serves them all
        SELECT run.environment_id AS "environmentId", run.id AS "runId" FROM campaigns.run
        WHERE ${IS_SETTLED} ORDER BY run.id LIMIT $1`,
      values: [limit],
    });
  }

  /** Deliveries by device of the given runs, from the view that push publishes. Runs without any are left out. */
  async readDeviceCounts(environmentId: string, runIds: readonly string[], tx: Sql = this.database): Promise<Map<string, DeviceCounts>> {
    const rows = await tx.query<DeviceCounts & { runId: string }>({
      name: 'campaigns.read-device-counts',
      text: `SELECT run_id AS "runId", targeted, accepted, gone, failed, expired, cancelled, pending FROM push.run_device_count
        WHERE environment_id = $1 AND run_id = ANY ($2::uuid[])`,
      values: [environmentId, runIds],
    });
    return new Map(rows.map(({ runId, ...counts }) => [runId, counts]));
  }

  /** What the chunks of the given runs say, read in one snapshot. Runs without chunks are left out. */
  async readTallies(environmentId: string, runIds: readonly string[], now: Date, tx: Sql = this.database): Promise<Map<string, RunTally>> {
    const rows = await tx.query<TallyRow>({
      name: 'campaigns.read-tallies',
      text: READ_TALLIES,
      values: [environmentId, runIds, new Date(now.getTime() - RATE_WINDOW_SECONDS * 1_000)],
    });
    return new Map(rows.map((row) => [row.runId, toTally(row)]));
  }
}

interface TallyRow {
  readonly runId: string;
  readonly chunksPlanned: number;
  readonly chunksFannedOut: number;
  readonly chunksOpen: number;
  readonly waitingRecipients: number;
  readonly recentOutcomes: number;
  readonly channels: Readonly<
    Partial<Record<Channel, { targeted: number; delivered: number; expired: number; cancelled: number; pending: number }>>
  >;
  readonly reasons: Readonly<Record<string, ReasonCounts>>;
}

const READ_TALLIES = `
  WITH delivery AS MATERIALIZED (
    SELECT run_id, chunk_no, channel, targeted, delivered, failed, skipped, expired, cancelled, pending, reported_at
    FROM campaigns.chunk_delivery WHERE environment_id = $1 AND run_id = ANY ($2::uuid[])
  ), channel_sum AS (
    SELECT run_id, channel, sum(targeted) AS targeted, sum(delivered) AS delivered, sum(expired) AS expired, sum(cancelled) AS cancelled,
      sum(pending) AS pending, coalesce(sum(targeted - pending) FILTER (WHERE reported_at >= $3), 0) AS recent
    FROM delivery GROUP BY run_id, channel
  ), channel_total AS (
    SELECT run_id, sum(recent)::integer AS recent, jsonb_object_agg(channel, jsonb_build_object('targeted', targeted,
      'delivered', delivered, 'expired', expired, 'cancelled', cancelled, 'pending', pending)) AS channels
    FROM channel_sum GROUP BY run_id
  ), reason_sum AS (
    SELECT run_id, channel, outcome.name AS outcome, reason.key AS reason, sum(reason.value::integer) AS recipients
    FROM delivery
    CROSS JOIN LATERAL (VALUES ('failed', failed), ('skipped', skipped)) AS outcome (name, reasons)
    CROSS JOIN LATERAL jsonb_each_text(outcome.reasons) AS reason
    GROUP BY 1, 2, 3, 4
  ), reason_list AS (
    SELECT run_id, channel || ':' || outcome AS name, jsonb_object_agg(reason, recipients) AS reasons
    FROM reason_sum GROUP BY run_id, channel, outcome
  ), reason_total AS (
    SELECT run_id, jsonb_object_agg(name, reasons) AS reasons FROM reason_list GROUP BY run_id
  ), open_chunk AS (
    SELECT run_id, count(DISTINCT chunk_no) AS chunks FROM delivery WHERE pending > 0 GROUP BY run_id
  ), chunk_total AS (
    SELECT run_id, count(*)::integer AS planned, (count(*) FILTER (WHERE state = 'fanned_out'))::integer AS fanned_out,
      coalesce(sum(planned_recipients) FILTER (WHERE state = 'planned'), 0)::integer AS waiting
    FROM campaigns.chunk WHERE environment_id = $1 AND run_id = ANY ($2::uuid[]) GROUP BY run_id
  )
  SELECT chunk_total.run_id AS "runId", planned AS "chunksPlanned", fanned_out AS "chunksFannedOut",
    coalesce(open_chunk.chunks, 0)::integer AS "chunksOpen", waiting AS "waitingRecipients", coalesce(recent, 0) AS "recentOutcomes",
    coalesce(channels, '{}') AS channels, coalesce(reasons, '{}') AS reasons
  FROM chunk_total
  LEFT JOIN channel_total USING (run_id) LEFT JOIN reason_total USING (run_id) LEFT JOIN open_chunk USING (run_id)`;

function toTally(row: TallyRow): RunTally {
  const channels = Object.entries(row.channels).map(([channel, sums]) => [
    channel,
    { ...sums, failed: row.reasons[`${channel}:failed`] ?? {}, skipped: row.reasons[`${channel}:skipped`] ?? {} },
  ]);
  return {
    channels: Object.fromEntries(channels) as RunCounts,
    waitingRecipients: row.waitingRecipients,
    chunks: { planned: row.chunksPlanned, fannedOut: row.chunksFannedOut, settled: row.chunksFannedOut - row.chunksOpen },
    recentOutcomes: row.recentOutcomes,
  };
}

function findRun(environmentId: string, runId: string, lock: '' | 'FOR NO KEY UPDATE'): Statement {
  return {
    name: lock === '' ? 'campaigns.find-run' : 'campaigns.lock-run',
    text: `SELECT ${RUN_COLUMNS} FROM campaigns.run WHERE environment_id = $1 AND id = $2 ${lock}`,
    values: [environmentId, runId],
  };
}
