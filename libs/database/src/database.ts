import type { PoolClient } from 'pg';
import type { DataSource, EntityManager } from 'typeorm';

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
