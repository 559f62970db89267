import { Injectable } from '@nestjs/common';
import type { Transaction } from '#database';
import { CHUNK_IS_OPEN } from './chunk.store.js';
import type { RunKey } from './run.js';

/** How long the reconciler waits, in seconds; each repeat doubles the wait up to the longest. */
export interface StallBounds {
  readonly stalledAfterSeconds: number;
  readonly waitSecondsMax: number;
}

/** A run that stands still and is locked. */
export interface StalledRun extends RunKey {
  readonly isPlanned: boolean;
  /** Where the run comes from. */
  readonly traceparent: string | null;
  /** How often its most repeated record was handed on already. */
  readonly emissions: number;
}

/** Key of the leader's lock among the advisory locks of the database. */
const LEADER_LOCK = 'campaigns.reconcile-runs';

/** Doublings after which the wait grows no more; keeps the power finite. */
const DOUBLINGS_MAX = 20;

/** All SQL that finds runs that stand still. One process at a time holds the leader's lock, for one transaction. */
@Injectable()
export class ReconcileStore {
  /** True when this transaction is the leader until its end. */
  async tryLead(tx: Transaction): Promise<boolean> {
    const [row] = await tx.query<{ leads: boolean }>({
      text: 'SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0)) AS leads',
      values: [LEADER_LOCK],
    });
    return row?.leads === true;
  }

  /**
   * Finds and locks runs that stand still: triggered ones whose planning is overdue, and planned ones where nothing was fanned out or
   * reported lately and an open chunk is overdue. Runs that somebody else has locked are left for the next time.
   */
  async lockStalled(bounds: StallBounds, query: { now: Date; limit: number }, tx: Transaction): Promise<StalledRun[]> {
    return tx.query<StalledRun>({
      text: `-- every environment: the reconciler serves them all
        SELECT run.environment_id AS "environmentId", run.id AS "runId", run.planned_at IS NOT NULL AS "isPlanned", run.traceparent,
          CASE WHEN run.planned_at IS NULL THEN run.emissions ELSE (SELECT max(chunk.emissions) FROM ${OVERDUE_CHUNK}) END AS emissions
        FROM campaigns.run
        WHERE (run.state = 'triggered' AND ${isOverdue('run')})
          OR (run.state IN ('running', 'cancelling') AND NOT ${IS_MOVING} AND EXISTS (SELECT FROM ${OVERDUE_CHUNK}))
        ORDER BY run.id LIMIT $4
        FOR NO KEY UPDATE OF run SKIP LOCKED`,
      values: [query.now, bounds.stalledAfterSeconds, bounds.waitSecondsMax, query.limit],
    });
  }
}

/** $1 now, $2 first wait in seconds, $3 longest wait in seconds. */
function isOverdue(alias: 'run' | 'chunk'): string {
  const wait = `least($2::float8 * power(2, least(${alias}.emissions - 1, ${DOUBLINGS_MAX})), $3::float8)`;
  return `${alias}.emitted_at <= $1::timestamptz - make_interval(secs => ${wait})`;
}

/** The chunks of `run` that are open and overdue. */
const OVERDUE_CHUNK = `campaigns.chunk
  WHERE chunk.environment_id = run.environment_id AND chunk.run_id = run.id AND ${isOverdue('chunk')} AND ${CHUNK_IS_OPEN}`;

/** Something of `run` was fanned out or reported within the first wait. */
const IS_MOVING = `(
  EXISTS (SELECT FROM campaigns.chunk WHERE chunk.environment_id = run.environment_id AND chunk.run_id = run.id
    AND chunk.fanned_out_at > $1::timestamptz - make_interval(secs => $2::float8))
  OR EXISTS (SELECT FROM campaigns.chunk_delivery WHERE chunk_delivery.environment_id = run.environment_id
    AND chunk_delivery.run_id = run.id AND chunk_delivery.reported_at > $1::timestamptz - make_interval(secs => $2::float8)))`;
