import { Injectable } from '@nestjs/common';
import { newUuid } from '#contracts';
import { Database, type RetentionPolicy, type Sql, type Transaction } from '#database';
import { LeaseLostError } from './retention.errors.js';

/** How a run stands or ended. `blocked`: somebody else held what was to go, it goes on later; `interrupted`: its process ended or was stopped. */
export type RetentionOutcome = 'running' | 'done' | 'blocked' | 'interrupted' | 'failed';

/** The right to remove what a policy names. Every write names the token. */
export interface Lease {
  readonly policy: string;
  /** Fencing token: a decimal, greater with each acquisition. */
  readonly token: string;
  readonly leaseMs: number;
  readonly runId: string;
  /** The database's time at the acquisition: ages are measured from it, whatever the clocks of the processes say. */
  readonly at: Date;
}

/** What one batch, or one dropped partition, removed. */
export interface RemovedBatch {
  /** Rows by table. */
  readonly rows: Readonly<Record<string, number>>;
  readonly partition?: string;
}

/** How the lease of a policy stands. */
export interface LeaseState {
  readonly policy: string;
  readonly isDue: boolean;
  /** Null while nobody holds it. */
  readonly holder: string | null;
  readonly dueAt: Date;
  readonly succeededAt: Date | null;
  /** Null before the first run that was through. */
  readonly secondsSinceSuccess: number | null;
  readonly keptHours: number | null;
}

/** One line of the protocol. */
export interface RetentionRun {
  readonly id: string;
  readonly policy: string;
  readonly holder: string;
  readonly keptHours: number;
  readonly outcome: RetentionOutcome;
  readonly removed: Readonly<Record<string, number>>;
  readonly partitions: readonly string[];
  readonly batches: number;
  readonly failure: string | null;
  readonly startedAt: Date;
  readonly endedAt: Date | null;
}

const FAILURE_CHARACTERS_MAX = 500;

/**
 * All SQL of leases and of the protocol.
 *
 * Concurrency: a lease is taken by one statement, which finds it free or leaves it. A batch locks the lease's row first (`hold`) and asks
 * again last (`renew`), in one transaction: a successor can take the lease only before or after the batch, and a batch whose lease ended
 * on the way is rolled back. Postgres' clock alone decides.
 */
@Injectable()
export class RetentionStore {
  constructor(private readonly database: Database) {}

  /** The leases that exist; a policy that never ran has none and is due. */
  async readLeases(sql: Sql = this.database): Promise<LeaseState[]> {
    return sql.query<LeaseState>({
      name: 'retention.read-leases',
      text: `-- every environment: leases belong to none
        SELECT policy, due_at <= clock_timestamp() AND expires_at <= clock_timestamp() AS "isDue",
          CASE WHEN expires_at > clock_timestamp() THEN holder END AS holder, due_at AS "dueAt", succeeded_at AS "succeededAt",
          extract(epoch FROM clock_timestamp() - succeeded_at)::double precision AS "secondsSinceSuccess", kept_hours AS "keptHours"
        FROM retention.lease ORDER BY policy`,
    });
  }

  /** Takes a free lease and opens its line of the protocol. `undefined` when somebody holds it, or when it is not due and has to be. */
  async acquire(
    policy: Pick<RetentionPolicy, 'name' | 'keptHours'>,
    by: { holder: string; leaseMs: number; onlyIfDue: boolean },
    tx: Transaction,
  ): Promise<Lease | undefined> {
    const [taken] = await tx.query<{ token: string; at: Date }>({
      name: 'retention.acquire',
      text: `-- every environment: leases belong to none
        INSERT INTO retention.lease AS lease (policy, token, holder, expires_at, due_at)
        VALUES ($1, 1, $2, clock_timestamp() + $3 * interval '1 millisecond', clock_timestamp())
        ON CONFLICT (policy) DO UPDATE SET token = lease.token + 1, holder = excluded.holder, expires_at = excluded.expires_at
          WHERE lease.expires_at <= clock_timestamp() AND (NOT $4 OR lease.due_at <= clock_timestamp())
        RETURNING token, clock_timestamp() AS at`,
      values: [policy.name, by.holder, by.leaseMs, by.onlyIfDue],
    });
    if (taken === undefined) return undefined;
    await tx.execute({
      text: `-- every environment: the protocol belongs to none
        UPDATE retention.run SET outcome = 'interrupted', ended_at = clock_timestamp() WHERE policy = $1 AND outcome = 'running'`,
      values: [policy.name],
    });
    const lease = { policy: policy.name, leaseMs: by.leaseMs, runId: newUuid(taken.at.getTime()), ...taken };
    await tx.execute({
      text: `-- every environment: the protocol belongs to none
        INSERT INTO retention.run (id, policy, token, holder, kept_hours, started_at) VALUES ($1, $2, $3, $4, $5, $6)`,
      values: [lease.runId, lease.policy, lease.token, by.holder, policy.keptHours, lease.at],
    });
    return lease;
  }

  /** Keeps everybody else from the lease until the end of the transaction. @throws LeaseLostError */
  async hold(lease: Lease, tx: Sql): Promise<void> {
    const held = await tx.query({
      name: 'retention.hold',
      text: `-- every environment: leases belong to none
        SELECT 1 AS held FROM retention.lease WHERE policy = $1 AND token = $2 AND expires_at > clock_timestamp() FOR NO KEY UPDATE`,
      values: [lease.policy, lease.token],
    });
    if (held.length === 0) throw new LeaseLostError(lease.policy);
  }

  /** Extends a lease that has not ended. @throws LeaseLostError */
  async renew(lease: Lease, sql: Sql): Promise<void> {
    const renewed = await sql.execute({
      name: 'retention.renew',
      text: `-- every environment: leases belong to none
        UPDATE retention.lease SET expires_at = clock_timestamp() + $3 * interval '1 millisecond'
        WHERE policy = $1 AND token = $2 AND expires_at > clock_timestamp()`,
      values: [lease.policy, lease.token, lease.leaseMs],
    });
    if (renewed === 0) throw new LeaseLostError(lease.policy);
  }

  /** Adds to the protocol what the same transaction removed. */
  async note(lease: Lease, { rows, partition }: RemovedBatch, tx: Sql): Promise<void> {
    await tx.execute({
      name: 'retention.note',
      text: `-- every environment: the protocol belongs to none
        UPDATE retention.run SET batches = batches + 1, partitions = partitions || coalesce($3::text[], '{}'),
          removed = removed || (SELECT coalesce(jsonb_object_agg(key, value::bigint + coalesce((removed->>key)::bigint, 0)), '{}')
            FROM jsonb_each_text($2::jsonb))
        WHERE id = $1`,
      values: [lease.runId, JSON.stringify(rows), partition === undefined ? null : [partition]],
    });
  }

  /**
   * Gives the lease back, closes the protocol and says when the policy is due again.
   * @throws LeaseLostError: the successor has closed it, or will
   */
  async finish(
    lease: Lease,
    end: { outcome: Exclude<RetentionOutcome, 'running'>; failure?: string; dueInMs: number },
    tx: Transaction,
  ): Promise<void> {
    const released = await tx.execute({
      text: `-- every environment: leases belong to none
        UPDATE retention.lease SET expires_at = clock_timestamp(), due_at = clock_timestamp() + $3 * interval '1 millisecond',
          succeeded_at = CASE WHEN $4 = 'done' THEN clock_timestamp() ELSE succeeded_at END,
          kept_hours = CASE WHEN $4 = 'done' THEN (SELECT run.kept_hours FROM retention.run AS run WHERE run.id = $5) ELSE kept_hours END
        WHERE policy = $1 AND token = $2 AND expires_at > clock_timestamp()`,
      values: [lease.policy, lease.token, end.dueInMs, end.outcome, lease.runId],
    });
    if (released === 0) throw new LeaseLostError(lease.policy);
    await tx.execute({
      text: `-- every environment: the protocol belongs to none
        UPDATE retention.run SET outcome = $2, failure = $3, ended_at = clock_timestamp() WHERE id = $1`,
      values: [lease.runId, end.outcome, end.failure?.slice(0, FAILURE_CHARACTERS_MAX) ?? null],
    });
  }

  /** The newest runs first. */
  async listRuns(filter: { policy?: string; limit: number }, sql: Sql = this.database): Promise<RetentionRun[]> {
    return sql.query<RetentionRun>({
      text: `-- every environment: the protocol belongs to none
        SELECT id, policy, holder, kept_hours AS "keptHours", outcome, removed, partitions, batches, failure, started_at AS "startedAt",
          ended_at AS "endedAt"
        FROM retention.run WHERE $1::text IS NULL OR policy = $1 ORDER BY started_at DESC, id DESC LIMIT $2`,
      values: [filter.policy ?? null, filter.limit],
    });
  }

  /** The database's time. */
  async readTime(sql: Sql = this.database): Promise<Date> {
    const [row] = await sql.query<{ at: Date }>({ text: 'SELECT clock_timestamp() AS at' });
    if (row === undefined) throw new Error('Postgres gave no time.');
    return row.at;
  }
}
