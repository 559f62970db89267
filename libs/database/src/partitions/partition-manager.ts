/**
 * Makes partitions before they are needed and drops those past their retention, beside running readers and writers.
 *
 * Life cycle of a partition: made (LIKE parent, CHECK, ATTACH; one transaction) -> written and read -> expired -> marked by a comment ->
 * detached concurrently -> dropped. Each step after "expired" is its own transaction, so a kill between two leaves a state that the next
 * run recognises (a pending detach, or a detached table with our mark) and finishes. Before each of them the warden is asked.
 *
 * Invariants:
 * - One process works on one table at a time (session advisory lock); the others skip it.
 * - Each statement waits a bounded time for its lock: a DDL that waits makes every later query on the table wait behind it.
 * - `CREATE TABLE … PARTITION OF` is never used: it locks the whole table against readers. ATTACH does not.
 * - Only a table with our mark is dropped once detached; what an operator detached by hand stays.
 */
import { escapeIdentifier, escapeLiteral } from 'pg';
import type { Clock } from '#contracts';
import type { Database, Session } from '../database.js';
import { type DatabaseLog, SILENT_LOG } from '../database-log.js';
import { isBlocked } from '../database.errors.js';
import { listDetached, listPartitions, markOf, measurePartition, quote, quoteChild, splitName } from './partition-catalog.js';
import { countAhead, formatBound, neededRanges, partitionName, subtractRanges, type TimeRange } from './partition-ranges.js';
import { findDue, type PartitionDueness, type RemovalWarden } from './partition-removal.js';
import type { PartitionedTable } from './partitioned-tables.js';

/** What one run did to one table. */
export interface PartitionReport {
  readonly parent: string;
  /** Partitions after the current one; -1: not even now is covered, writes fail. Alarm below 2. */
  readonly partitionsAhead: number;
  readonly created: readonly string[];
  readonly dropped: readonly string[];
  /** `blocked`: a lock did not come in time, the next run goes on. `busy`: another process works on this table. */
  readonly outcome: 'done' | 'blocked' | 'busy';
}

export interface PartitionRunOptions {
  /** Wait for another process that works on the table, instead of leaving it to that one. */
  readonly waitForTurn?: boolean;
}

/** Class of the advisory locks, one per table. */
const PARTITION_LOCK_CLASS = 6_238_003;
const TURN_WAIT_MS_MAX = 60_000;
const LOCK_TIMEOUT_MS = 2_000;

/** Removes without asking anybody. */
const FREE_HAND: RemovalWarden = { allow: async () => undefined, dropped: async () => undefined, silenceMsMax: 0 };

export class PartitionManager {
  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
    private readonly log: DatabaseLog = SILENT_LOG,
    private readonly lockTimeoutMs = LOCK_TIMEOUT_MS,
  ) {}

  /** Makes the partitions that the table needs now and for the next `ahead` intervals. */
  ensureAhead(table: PartitionedTable, options: PartitionRunOptions = {}): Promise<PartitionReport> {
    return this.run(table, options, async (session, created) => {
      const existing = await listPartitions(session, table);
      const needed = neededRanges(table, this.nowMs());
      for (const range of needed.flatMap((one) => subtractRanges(one, existing))) {
        created.push(await createPartition(session, table, range));
      }
    });
  }

  /** Drops the partitions that are due, oldest first, and finishes drops that were interrupted. */
  dropExpired(table: PartitionedTable, dueness: PartitionDueness, warden: RemovalWarden = FREE_HAND): Promise<PartitionReport> {
    return this.run(table, {}, async (session, _created, dropped) => {
      await limitSilence(session, warden.silenceMsMax);
      const drop = async (name: string, fromMs?: number) => {
        const from = fromMs === undefined ? undefined : new Date(fromMs);
        const partition = { name, from, ...(await measurePartition(session, table, name)) };
        await inTransaction(session, async () => {
          await warden.allow(session);
          await session.execute({ text: `DROP TABLE ${quoteChild(table, name)}` });
          await warden.dropped(partition, session);
        });
        dropped.push(name);
      };
      for (const { name } of (await listPartitions(session, table)).filter((partition) => partition.detachPending)) {
        await warden.allow(session);
        await session.execute({ text: `ALTER TABLE ${quote(table.parent)} DETACH PARTITION ${quoteChild(table, name)} FINALIZE` });
      }
      for (const name of await listDetached(session, table)) await drop(name);
      for (const { name, fromMs } of await findDue(session, table, dueness)) {
        await inTransaction(session, async () => {
          await warden.allow(session);
          await session.execute({ text: `COMMENT ON TABLE ${quoteChild(table, name)} IS ${escapeLiteral(markOf(table))}` });
        });
        await warden.allow(session);
        await session.execute({ text: `ALTER TABLE ${quote(table.parent)} DETACH PARTITION ${quoteChild(table, name)} CONCURRENTLY` });
        await drop(name, fromMs);
      }
    });
  }

  /** How many partitions follow the current one without a gap; -1 when even now is not covered. */
  async partitionsAhead(table: PartitionedTable): Promise<number> {
    return this.database.session(async (session) => {
      await prepare(session, this.lockTimeoutMs);
      return countAhead(await listPartitions(session, table), this.nowMs());
    });
  }

  private async run(
    table: PartitionedTable,
    options: PartitionRunOptions,
    work: (session: Session, created: string[], dropped: string[]) => Promise<void>,
  ): Promise<PartitionReport> {
    const [created, dropped]: [string[], string[]] = [[], []];
    const report = await this.database.session(async (session): Promise<PartitionReport> => {
      const outcome = (await takeTurn(session, table, options))
        ? await this.attempt(session, () => work(session, created, dropped))
        : 'busy';
      const partitionsAhead = countAhead(await listPartitions(session, table), this.nowMs());
      return { parent: table.parent, partitionsAhead, created, dropped, outcome };
    });
    if (created.length + dropped.length > 0 || report.outcome === 'blocked') {
      const { parent, partitionsAhead, outcome } = report;
      this.log.info('database.partitions.kept', { parent, partitions_ahead: partitionsAhead, created, dropped, outcome });
    }
    return report;
  }

  private async attempt(session: Session, work: () => Promise<void>): Promise<'done' | 'blocked'> {
    await prepare(session, this.lockTimeoutMs);
    try {
      await work();
      return 'done';
    } catch (error) {
      if (isBlocked(error)) return 'blocked';
      throw error;
    }
  }

  private nowMs(): number {
    return this.clock.now().getTime();
  }
}

/** Bounds are printed in the session's time zone. A detach waits for old transactions as long as the lock timeout lets it. */
async function prepare(session: Session, lockTimeoutMs: number): Promise<void> {
  const settings = { timezone: 'UTC', datestyle: 'ISO', statement_timeout: '0', lock_timeout: String(lockTimeoutMs) };
  for (const [name, value] of Object.entries(settings)) {
    await session.query({ text: 'SELECT set_config($1, $2, false)', values: [name, value] });
  }
}

/** 0: no limit. */
async function limitSilence(session: Session, silenceMsMax: number): Promise<void> {
  for (const name of ['statement_timeout', 'idle_session_timeout', 'idle_in_transaction_session_timeout']) {
    await session.query({ text: 'SELECT set_config($1, $2, false)', values: [name, String(silenceMsMax)] });
  }
}

async function inTransaction(session: Session, work: () => Promise<void>): Promise<void> {
  await session.execute({ text: 'BEGIN' });
  try {
    await work();
  } catch (error) {
    // The connection may be gone, and with it the transaction.
    await session.execute({ text: 'ROLLBACK' }).catch(() => undefined);
    throw error;
  }
  await session.execute({ text: 'COMMIT' });
}

async function takeTurn(session: Session, table: PartitionedTable, { waitForTurn = false }: PartitionRunOptions): Promise<boolean> {
  await prepare(session, TURN_WAIT_MS_MAX);
  const values = [PARTITION_LOCK_CLASS, table.parent];
  if (waitForTurn) {
    await session.query({ text: 'SELECT pg_advisory_lock($1, hashtext($2))', values });
    return true;
  }
  const [row] = await session.query<{ taken: boolean }>({ text: 'SELECT pg_try_advisory_lock($1, hashtext($2)) AS taken', values });
  return row?.taken === true;
}

/**
 * The CHECK tells ATTACH that there is nothing to look at; afterwards the bounds say the same, so it goes. Identity columns are the
 * parent's affair: ATTACH refuses a table that has its own.
 */
async function createPartition(session: Session, table: PartitionedTable, range: TimeRange): Promise<string> {
  const name = partitionName(splitName(table.parent).table, range);
  const [parent, child, column] = [quote(table.parent), quoteChild(table, name), escapeIdentifier(table.key.column)];
  const from = escapeLiteral(formatBound(table.key.type, range.fromMs));
  const to = escapeLiteral(formatBound(table.key.type, range.toMs));
  // One text of several statements is one transaction.
  const text = `
    CREATE TABLE ${child} (LIKE ${parent} INCLUDING ALL EXCLUDING IDENTITY, CONSTRAINT partition_bounds CHECK (${column} >= ${from} AND ${column} < ${to}));
    ALTER TABLE ${parent} ATTACH PARTITION ${child} FOR VALUES FROM (${from}) TO (${to});
    ALTER TABLE ${child} DROP CONSTRAINT partition_bounds;`;
  await session.execute({ text });
  return name;
}
