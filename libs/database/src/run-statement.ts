import type { ClientBase, QueryResult } from 'pg';
import type { Statement } from './database.js';

/** Runs one statement on one connection; a named one as a prepared statement. */
export function runStatement(client: ClientBase, statement: Statement): Promise<QueryResult> {
  const { name, text, values } = statement;
  return client.query({ text, ...(name !== undefined && { name }), ...(values !== undefined && { values: [...values] }) });
}
