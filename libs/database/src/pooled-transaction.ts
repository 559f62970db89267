import type { PoolClient } from 'pg';
import type { EntityManager } from 'typeorm';
import type { Statement, Transaction } from './database.js';
import { TransactionMisuseError } from './database.errors.js';
import { runStatement } from './run-statement.js';

/** The transaction handed to a callback of `Database.transaction`. */
export class PooledTransaction implements Transaction {
  readonly commitHooks: (() => void | Promise<void>)[] = [];
  private state: 'idle' | 'busy' | 'ended' = 'idle';

  constructor(
    readonly client: PoolClient,
    readonly manager: EntityManager,
    /** Turns pg's errors into ours. */
    private readonly translate: (error: unknown) => unknown,
  ) {}

  async query<Row extends object>(statement: Statement): Promise<Row[]> {
    return (await this.run(statement)).rows as Row[];
  }

  async execute(statement: Statement): Promise<number> {
    return (await this.run(statement)).rowCount ?? 0;
  }

  afterCommit(work: () => void | Promise<void>): void {
    if (this.state === 'ended') throw new TransactionMisuseError('afterCommit() was called after the transaction ended');
    this.commitHooks.push(work);
  }

  /** Makes every later use fail: the connection belongs to somebody else from now on. */
  end(): void {
    this.state = 'ended';
  }

  private async run(statement: Statement) {
    if (this.state === 'ended') throw new TransactionMisuseError(`A statement was run after its transaction ended: ${statement.text}`);
    if (this.state === 'busy') {
      throw new TransactionMisuseError(`Two statements at once on one transaction; await one after the other: ${statement.text}`);
    }
    this.state = 'busy';
    try {
      return await runStatement(this.client, statement);
    } catch (error) {
      throw this.translate(error);
    } finally {
      if (this.state === 'busy') this.state = 'idle';
    }
  }
}
