import { type ClientBase, type CustomTypesConfig, type QueryResult, types } from 'pg';
import type { Statement } from './database.js';
import { parseUuidArray, UUID_ARRAY_OID } from './uuid-array.js';

/** How values are read: as pg does, but for arrays of UUIDs. */
const TYPES: CustomTypesConfig = {
  getTypeParser: (oid: number, format) =>
    oid === UUID_ARRAY_OID && format !== 'binary' ? parseUuidArray : types.getTypeParser(oid, format),
};

/** Runs one statement on one connection; a named one as a prepared statement. */
export function runStatement(client: ClientBase, statement: Statement): Promise<QueryResult> {
  const { name, text, values } = statement;
  return client.query({ text, types: TYPES, ...(name !== undefined && { name }), ...(values !== undefined && { values: [...values] }) });
}
