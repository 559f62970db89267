import { Injectable } from '@nestjs/common';
import { Database, type Sql } from '#database';
import type { Channel } from './channels.js';
import type { RunState } from './run-state.js';

/** How the runs stand that are not over, of all environments together. */
export interface RunFigures {
  readonly runs: Readonly<Partial<Record<RunState, number>>>;
  /** Recipients without an outcome. */
  readonly pending: Readonly<Partial<Record<Channel, number>>>;
  readonly stalled: number;
}

/** From when on a run counts as standing still for good. */
export interface StalledBounds {
  readonly now: Date;
  /** Nothing was fanned out or reported for so long. */
  readonly stillSeconds: number;
  /** Its work was handed on so often. */
  readonly emissionsMin: number;
}

/** SQL for metrics: it reads open runs and their open chunks by partial indexes, never the history. */
@Injectable()
export class RunFiguresStore {
  constructor(private readonly database: Database) {}

  async read(bounds: StalledBounds, tx: Sql = this.database): Promise<RunFigures> {
    const [row] = await tx.query<RunFigures>({
      name: 'campaigns.read-run-figures',
      text: READ_RUN_FIGURES,
      values: [bounds.now, bounds.stillSeconds, bounds.emissionsMin],
    });
    if (row === undefined) throw new Error('An aggregate gave no row.');
    return row;
  }
}

/** $1 now, $2 seconds of standstill, $3 emissions. The states are spelt out so that the partial indexes serve them. */
const READ_RUN_FIGURES = `
  -- every environment: the figures of the installation
  WITH run AS MATERIALIZED (
    SELECT environment_id, id, state, channels, emissions, planned_at FROM campaigns.run WHERE state IN ('triggered', 'running', 'cancelling')
    UNION ALL
    SELECT environment_id, id, state, channels, emissions, planned_at FROM campaigns.run WHERE state = 'paused'
  ), pending AS (
    SELECT channel, sum(people)::integer AS people FROM (
      SELECT delivery.channel, delivery.pending AS people FROM run
      JOIN campaigns.chunk_delivery AS delivery ON delivery.environment_id = run.environment_id AND delivery.run_id = run.id
      WHERE delivery.pending > 0
      UNION ALL
      SELECT channel, chunk.planned_recipients FROM run
      JOIN campaigns.chunk ON chunk.environment_id = run.environment_id AND chunk.run_id = run.id AND chunk.state = 'planned'
      CROSS JOIN unnest(run.channels) AS channel
    ) AS open GROUP BY channel
  ), stalled AS (
    SELECT count(*)::integer AS runs FROM run
    WHERE run.state <> 'paused' AND CASE WHEN run.planned_at IS NULL THEN run.emissions >= $3::integer ELSE
      EXISTS (SELECT FROM campaigns.chunk WHERE chunk.environment_id = run.environment_id AND chunk.run_id = run.id AND chunk.emissions >= $3)
      AND NOT EXISTS (SELECT FROM campaigns.chunk WHERE chunk.environment_id = run.environment_id AND chunk.run_id = run.id
        AND chunk.fanned_out_at > $1::timestamptz - make_interval(secs => $2::float8))
      AND NOT EXISTS (SELECT FROM campaigns.chunk_delivery AS delivery WHERE delivery.environment_id = run.environment_id
        AND delivery.run_id = run.id AND delivery.reported_at > $1::timestamptz - make_interval(secs => $2::float8)) END
  )
  SELECT (SELECT coalesce(json_object_agg(state, runs), '{}') FROM (SELECT state, count(*)::integer AS runs FROM run GROUP BY state) AS by_state) AS runs,
    (SELECT coalesce(json_object_agg(channel, people), '{}') FROM pending) AS pending,
    (SELECT runs FROM stalled) AS stalled`;
