import { Injectable } from '@nestjs/common';
import type { EngagementKind } from '#contracts';
import { Database, type Sql } from '#database';
import type { Channel } from './channels.js';
import { EMPTY_TALLY, type ChannelTally, type RunCounts } from './run-counts.js';
import type { RunState } from './run-state.js';

/** Subscribers by what they did, on each channel; kinds that nobody did are absent. */
export type EngagementCounts = Readonly<Partial<Record<Channel, Readonly<Partial<Record<EngagementKind, number>>>>>>;

/** A run whose counts are not final. */
export interface OpenRun {
  readonly id: string;
  readonly channels: readonly Channel[];
}

/** All SQL that sums over runs, and that reads what engagement publishes about them. */
@Injectable()
export class StatisticsStore {
  constructor(private readonly database: Database) {}

  /** What subscribers did with the messages of the given runs, by message key; those with which nobody did anything are left out. */
  async readEngagement(
    environmentId: string,
    messageKeys: readonly string[],
    tx: Sql = this.database,
  ): Promise<Map<string, EngagementCounts>> {
    const rows = await tx.query<EngagementRow & { messageKey: string }>({
      name: 'campaigns.read-engagement',
      text: `SELECT message_key AS "messageKey", channel, kind, subscribers FROM engagement.run_count
        WHERE environment_id = $1 AND message_key = ANY ($2::uuid[])`,
      values: [environmentId, messageKeys],
    });
    return new Map([...groupBy(rows, (row) => row.messageKey)].map(([key, own]) => [key, toEngagement(own)]));
  }

  /** What subscribers did with the messages of all runs of a campaign; somebody who did it in several runs counts for each. */
  async sumEngagement(environmentId: string, campaignId: string, tx: Sql = this.database): Promise<EngagementCounts> {
    const rows = await tx.query<EngagementRow>({
      name: 'campaigns.sum-engagement',
      text: `SELECT count.channel, count.kind, sum(count.subscribers)::double precision AS subscribers
        FROM campaigns.run
        JOIN engagement.run_count AS count ON count.environment_id = run.environment_id AND count.message_key = run.message_key
        WHERE run.environment_id = $1 AND run.campaign_id = $2
        GROUP BY count.channel, count.kind`,
      values: [environmentId, campaignId],
    });
    return toEngagement(rows);
  }

  /** The runs of a campaign by their state. */
  async countRuns(environmentId: string, campaignId: string, tx: Sql = this.database): Promise<Partial<Record<RunState, number>>> {
    const rows = await tx.query<{ state: RunState; runs: number }>({
      name: 'campaigns.count-runs',
      text: 'SELECT state, count(*)::integer AS runs FROM campaigns.run WHERE environment_id = $1 AND campaign_id = $2 GROUP BY state',
      values: [environmentId, campaignId],
    });
    return Object.fromEntries(rows.map(({ state, runs }) => [state, runs]));
  }

  /** The runs of a campaign that are not over. */
  async listOpenRuns(environmentId: string, campaignId: string, tx: Sql = this.database): Promise<OpenRun[]> {
    return tx.query<OpenRun>({
      name: 'campaigns.list-open-runs',
      text: 'SELECT id, channels FROM campaigns.run WHERE environment_id = $1 AND campaign_id = $2 AND counts IS NULL ORDER BY id',
      values: [environmentId, campaignId],
    });
  }

  /** The sum of the final counts of all runs of a campaign that are over. */
  async sumFinalCounts(environmentId: string, campaignId: string, tx: Sql = this.database): Promise<RunCounts> {
    const rows = await tx.query<FigureRow>({
      name: 'campaigns.sum-final-counts',
      text: `SELECT channel.key AS channel, figure.key AS figure, reason.key AS reason,
          sum(reason.value::integer)::double precision AS recipients
        FROM campaigns.run
        CROSS JOIN LATERAL jsonb_each(run.counts) AS channel
        CROSS JOIN LATERAL jsonb_each(channel.value) AS figure
        CROSS JOIN LATERAL jsonb_each_text(CASE jsonb_typeof(figure.value)
          WHEN 'object' THEN figure.value ELSE jsonb_build_object('', figure.value) END) AS reason
        WHERE run.environment_id = $1 AND run.campaign_id = $2 AND run.counts IS NOT NULL
        GROUP BY channel.key, figure.key, reason.key`,
      values: [environmentId, campaignId],
    });
    return Object.fromEntries([...groupBy(rows, (row) => row.channel)].map(([channel, own]) => [channel, toTally(own)]));
  }
}

interface EngagementRow {
  readonly channel: Channel;
  readonly kind: EngagementKind;
  readonly subscribers: number;
}

/** One figure of a channel's counts; `reason` is empty for the figures that have none. */
interface FigureRow {
  readonly channel: Channel;
  readonly figure: keyof ChannelTally;
  readonly reason: string;
  readonly recipients: number;
}

function toEngagement(rows: readonly EngagementRow[]): EngagementCounts {
  const kindsOf = (own: readonly EngagementRow[]) => Object.fromEntries(own.map(({ kind, subscribers }) => [kind, subscribers]));
  return Object.fromEntries([...groupBy(rows, (row) => row.channel)].map(([channel, own]) => [channel, kindsOf(own)]));
}

function toTally(rows: readonly FigureRow[]): ChannelTally {
  const figures = rows.filter(({ reason }) => reason === '').map(({ figure, recipients }) => [figure, recipients]);
  const reasonsOf = (figure: 'failed' | 'skipped') =>
    Object.fromEntries(rows.filter((row) => row.figure === figure).map(({ reason, recipients }) => [reason, recipients]));
  return { ...EMPTY_TALLY, ...Object.fromEntries(figures), failed: reasonsOf('failed'), skipped: reasonsOf('skipped') };
}

function groupBy<Row, Key>(rows: readonly Row[], keyOf: (row: Row) => Key): Map<Key, Row[]> {
  const groups = new Map<Key, Row[]>();
  for (const row of rows) {
    const key = keyOf(row);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [row]);
    else group.push(row);
  }
  return groups;
}
