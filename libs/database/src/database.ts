/**
 * The one way to Postgres: a TypeORM DataSource and its pg pool. Set-based SQL and repositories share connections, so a
 * transaction spans both.
 *
 * Invariants:
 * - Every failure of a connection or of the server leaves here as `DatabaseUnavailableError`; errors of a statement leave as pg made
 *   them. A failed statement keeps its connection, a broken connection leaves the pool. No event of a connection ends the process.
 * - One connection runs one statement at a time: never `Promise.all` over one transaction (it throws).
 * - A transaction's callback may run several times (serialization failure, deadlock): it must change nothing but the database;
 *   whatever else is to happen goes into `afterCommit`.
 * - No session is held for ever: each has a statement timeout, an idle-in-transaction timeout, and the pool a wait limit.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client, Pool, PoolClient } from 'pg';
import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { createDataSource, type DatabaseOptions, listenConfig } from './data-source.js';
import { type DatabaseLog, SILENT_LOG } from './database-log.js';
import { DatabaseUnavailableError, TransactionAbortedError, isRepeatable, translateError, unavailable } from './database.errors.js';
import { NotificationListener, type OnNotify } from './notification-listener.js';
import { PooledTransaction } from './pooled-transaction.js';
import { runStatement } from './run-statement.js';

/** One SQL statement. A `name` makes it a prepared statement of the connection: use it on hot paths. */
export interface Statement {
  readonly name?: string;
  readonly text: string;
  readonly values?: readonly unknown[];
}

/** Something that runs statements: the pool or one transaction. */
export interface Sql {
  /** All rows of the answer. */
  query<Row extends object>(statement: Statement): Promise<Row[]>;
  /** How many rows the statement touched. */
  execute(statement: Statement): Promise<number>;
}

/** One open transaction; dead after its callback settled. */
export interface Transaction extends Sql {
  /** TypeORM's view of the same transaction, for repositories of configuration tables. */
  readonly manager: EntityManager;
  /** The raw connection, for COPY. */
  readonly client: PoolClient;
  /** Runs after a successful commit, in order; its failure is logged, never thrown. */
  afterCommit(work: () => void | Promise<void>): void;
}

/** One connection outside of any transaction. */
export interface Session extends Sql {
  readonly client: PoolClient;
}

/** How one transaction differs from the default (read committed, the pool's statement timeout). */
export interface TransactionOptions {
  readonly isolation?: 'READ COMMITTED' | 'REPEATABLE READ' | 'SERIALIZABLE';
  readonly statementTimeoutMs?: number;
}

/** Connections of the pool at this moment. */
export interface PoolUsage {
  readonly open: number;
  readonly idle: number;
  /** Callers who wait for a connection. */
  readonly waiting: number;
}

/** Runs of one transaction before a conflict is given back to the caller. */
export const TRANSACTION_ATTEMPTS_MAX = 5;
const TRANSACTION_RETRY_DELAY_MS_MAX = 50;
/** How long `close` waits for open transactions. */
const CLOSE_DRAIN_MS_MAX = 10_000;

export class Database implements Sql {
  private readonly pool: Pool;
  private readonly listener: NotificationListener;
  private readonly openTransactions = new Set<Promise<unknown>>();
  /** The last error event of a connection: the reason behind a later "not queryable". */
  private readonly connectionErrors = new WeakMap<PoolClient, Error>();
  private readonly watched = new WeakSet<PoolClient>();

  private constructor(
    /** TypeORM's view of the pool, for repositories outside of transactions. */
    readonly dataSource: DataSource,
    options: DatabaseOptions,
    private readonly log: DatabaseLog,
  ) {
    this.pool = (dataSource.driver as unknown as { master: Pool }).master;
    this.pool.on('acquire', (client) => this.watch(client));
    this.listener = new NotificationListener(listenConfig(options), log);
  }

  /**
   * Opens the pool and proves that Postgres answers.
   * @throws DatabaseUnavailableError when it does not; pg's own error when it refuses the user, password or database name.
   */
  static async open(options: DatabaseOptions): Promise<Database> {
    const log = options.log ?? SILENT_LOG;
    const dataSource = createDataSource(options, log);
    try {
      await dataSource.initialize();
    } catch (error) {
      throw translateError(error);
    }
    return new Database(dataSource, options, log);
  }

  async query<Row extends object>(statement: Statement): Promise<Row[]> {
    return (await this.onConnection((client) => runStatement(client, statement))).rows as Row[];
  }

  async execute(statement: Statement): Promise<number> {
    return (await this.onConnection((client) => runStatement(client, statement))).rowCount ?? 0;
  }

  /**
   * Runs `work` in one transaction and gives its result after the commit. After a serialization failure or a deadlock it runs again,
   * up to `TRANSACTION_ATTEMPTS_MAX` times: `work` must be repeatable.
   * @throws DatabaseUnavailableError when the connection broke. If it broke at COMMIT, the transaction may have been committed.
   * @throws TransactionAbortedError when `work` swallowed the error of a statement.
   */
  async transaction<T>(work: (tx: Transaction) => Promise<T>, options: TransactionOptions = {}): Promise<T> {
    const transaction = this.repeatTransaction(work, options);
    this.openTransactions.add(transaction);
    try {
      return await transaction;
    } finally {
      this.openTransactions.delete(transaction);
    }
  }

  /**
   * Runs `work` on one connection outside of any transaction, for session locks and for statements that refuse a transaction. The
   * connection is closed afterwards, and with it every lock and setting of the session. It counts against the pool while it lasts.
   */
  async session<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const client = await this.acquire();
    const run = async (statement: Statement) => {
      try {
        return await runStatement(client, statement);
      } catch (error) {
        throw translateError(error, this.connectionErrors.get(client));
      }
    };
    try {
      return await work({
        client,
        query: async <Row extends object>(statement: Statement) => (await run(statement)).rows as Row[],
        execute: async (statement) => (await run(statement)).rowCount ?? 0,
      });
    } finally {
      client.release(true);
    }
  }

  /**
   * Calls `onNotify` with the payload of each NOTIFY on the channel, and with an empty payload after each reconnect, because what was
   * notified in between is lost. The answer ends it.
   */
  async listen(channel: string, onNotify: OnNotify): Promise<() => Promise<void>> {
    return this.listener.add(channel, onNotify);
  }

  /** Resolves when Postgres answers. */
  async ping(): Promise<void> {
    await this.query({ text: 'SELECT 1' });
  }

  get poolUsage(): PoolUsage {
    return { open: this.pool.totalCount, idle: this.pool.idleCount, waiting: this.pool.waitingCount };
  }

  /** Waits for open transactions (bounded), then ends all connections. Later calls fail with `DatabaseUnavailableError`. */
  async close(): Promise<void> {
    if (!this.dataSource.isInitialized) return;
    await this.listener.close();
    const deadline = new AbortController();
    const drained = Promise.allSettled(this.openTransactions);
    await Promise.race([drained, sleep(CLOSE_DRAIN_MS_MAX, undefined, { signal: deadline.signal }).catch(() => undefined)]);
    deadline.abort();
    await this.dataSource.destroy();
  }

  private async repeatTransaction<T>(work: (tx: Transaction) => Promise<T>, options: TransactionOptions): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.runTransaction(work, options);
      } catch (error) {
        if (!isRepeatable(error) || attempt >= TRANSACTION_ATTEMPTS_MAX) throw error;
        this.log.info('database.transaction.repeated', { attempt });
        // Random, so that those who collided do not meet again.
        await sleep(Math.random() * TRANSACTION_RETRY_DELAY_MS_MAX);
      }
    }
  }

  private async runTransaction<T>(work: (tx: Transaction) => Promise<T>, options: TransactionOptions): Promise<T> {
    const runner = this.dataSource.createQueryRunner();
    const client = await this.acquireFor(runner);
    const translate = (error: unknown) => translateError(error, this.connectionErrors.get(client));
    const tx = new PooledTransaction(client, runner.manager, translate);
    let result: T;
    try {
      await runner.startTransaction(options.isolation);
      const { statementTimeoutMs } = options;
      if (statementTimeoutMs !== undefined)
        await client.query("SELECT set_config('statement_timeout', $1, true)", [`${statementTimeoutMs}`]);
      result = await work(tx);
      await commit(client);
    } catch (error) {
      await rollBack(client);
      throw translate(error);
    } finally {
      tx.end();
      await runner.release();
    }
    await this.runCommitHooks(tx);
    return result;
  }

  /** Runs after the connection went back, so that a hook which needs one cannot wait for its own. */
  private async runCommitHooks(tx: PooledTransaction): Promise<void> {
    for (const hook of tx.commitHooks) {
      try {
        await hook();
      } catch (error) {
        this.log.error('database.after_commit.failed', {}, error);
      }
    }
  }

  private async onConnection<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    const client = await this.acquire();
    let broken = false;
    try {
      return await work(client);
    } catch (error) {
      const translated = translateError(error, this.connectionErrors.get(client));
      broken = translated instanceof DatabaseUnavailableError;
      throw translated;
    } finally {
      client.release(broken);
    }
  }

  private async acquire(): Promise<PoolClient> {
    try {
      return await this.pool.connect();
    } catch (error) {
      throw unavailable(error);
    }
  }

  private async acquireFor(runner: QueryRunner): Promise<PoolClient> {
    try {
      return (await runner.connect()) as PoolClient;
    } catch (error) {
      throw unavailable(error);
    }
  }

  /** A connection in use has no error listener of the pool; without one, its error event would end the process. */
  private watch(client: PoolClient): void {
    if (this.watched.has(client)) return;
    this.watched.add(client);
    client.on('error', (error) => this.connectionErrors.set(client, error));
  }
}

/** Postgres answers COMMIT of a failed transaction with a rollback and no error. */
async function commit(client: PoolClient): Promise<void> {
  const { command } = await client.query('COMMIT');
  if (command !== 'COMMIT')
    throw new TransactionAbortedError('A statement of the transaction failed and its error was swallowed: nothing was committed');
}

/** A connection that cannot roll back must not go back to the pool with its transaction open. */
async function rollBack(client: PoolClient): Promise<void> {
  try {
    await client.query('ROLLBACK');
  } catch {
    (client as unknown as Client).end().catch(() => undefined);
  }
}
