/**
 * The schema as one SQL text, made from the catalog, because the embedded Postgres brings no pg_dump. `libs/database/schema.sql` is its
 * output: reviews see what a migration changes, and a test fails when the two differ.
 *
 * Invariants: the same schema gives the same text, byte for byte; the text makes the same schema again in an empty database; partitions
 * are left out, because they depend on the day. Kinds of objects that it does not know make it fail instead of being left out.
 */
import type { Database, Sql } from './database.js';

const HEADER = `-- Made from the migrations by \`npm run generate\`; do not edit. Partitions are left out: they depend on the day.
SET check_function_bodies = off;
`;

/** Schemas of ours. */
const OWN_SCHEMA = `nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'`;

/** The dump of a migrated database. @throws Error for objects of a kind that it does not know: teach it then. */
export async function generateSchemaDump(database: Database): Promise<string> {
  return database.session(async (session) => {
    // Nothing is in the search path, so Postgres prints every name with its schema.
    await session.query({ text: `SELECT set_config('search_path', '', false)` });
    await refuseUnknownKinds(session);
    const statements: string[] = [];
    for (const list of [listSchemas, listSequences, listFunctions, listTables, listSequenceOwners, listViews]) {
      statements.push(...(await list(session)));
    }
    for (const { text } of DEFINITIONS) statements.push(...(await listStatements(session, text)));
    return `${HEADER}\n${statements.map((statement) => `${statement};\n`).join('\n')}`;
  });
}

interface ColumnRow {
  readonly name: string;
  readonly type: string;
  readonly collation: string | null;
  readonly not_null: boolean;
  readonly value: string | null;
  readonly identity: '' | 'a' | 'd';
  readonly generated: '' | 's' | 'v';
  readonly storage: string | null;
}

interface TableRow {
  readonly oid: string;
  readonly table: string;
  readonly partition_by: string | null;
  readonly options: string | null;
}

const STORAGE_NAMES: Readonly<Record<string, string>> = { p: 'PLAIN', e: 'EXTERNAL', m: 'MAIN', x: 'EXTENDED' };

/** What Postgres itself prints as whole statements, in the order of the file. */
const DEFINITIONS = [
  {
    kind: 'indexes that no constraint makes',
    text: `SELECT pg_get_indexdef(i.indexrelid) AS statement
           FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE ${OWN_SCHEMA} AND NOT c.relispartition
             AND NOT EXISTS (SELECT FROM pg_class t WHERE t.oid = i.indrelid AND t.relispartition)
             AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
           ORDER BY nspname COLLATE "C", relname COLLATE "C"`,
  },
  {
    kind: 'extended statistics',
    text: `SELECT pg_get_statisticsobjdef(s.oid) AS statement
           FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace
           WHERE ${OWN_SCHEMA} AND NOT EXISTS (SELECT FROM pg_class t WHERE t.oid = s.stxrelid AND t.relispartition)
           ORDER BY nspname COLLATE "C", stxname COLLATE "C"`,
  },
  {
    kind: 'foreign keys, last because they name other tables',
    text: `SELECT format('ALTER TABLE %s ADD CONSTRAINT %I %s', k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid)) AS statement
           FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE ${OWN_SCHEMA} AND k.contype = 'f' AND NOT c.relispartition AND k.conparentid = 0
           ORDER BY nspname COLLATE "C", relname COLLATE "C", conname COLLATE "C"`,
  },
  {
    kind: 'triggers',
    text: `SELECT pg_get_triggerdef(t.oid) AS statement
           FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE ${OWN_SCHEMA} AND NOT t.tgisinternal AND NOT c.relispartition
           ORDER BY nspname COLLATE "C", relname COLLATE "C", tgname COLLATE "C"`,
  },
] as const;

async function refuseUnknownKinds(sql: Sql): Promise<void> {
  const rows = await sql.query<{ object: string }>({
    text: `SELECT format('type %s', t.oid::regtype) AS object FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
           WHERE ${OWN_SCHEMA} AND t.typtype IN ('e', 'd', 'r')
           UNION ALL
           SELECT format('relation %s', c.oid::regclass) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE ${OWN_SCHEMA} AND c.relkind IN ('m', 'f', 'c')
           UNION ALL
           SELECT format('policy %s', p.polname) FROM pg_policy p
           UNION ALL
           SELECT format('extension %s', extname) FROM pg_extension WHERE extname <> 'plpgsql'`,
  });
  if (rows.length > 0) throw new Error(`The schema dump cannot show: ${rows.map((row) => row.object).join(', ')}`);
}

async function listSchemas(sql: Sql): Promise<string[]> {
  return listStatements(
    sql,
    `SELECT format('CREATE SCHEMA %I', nspname) AS statement FROM pg_namespace
     WHERE ${OWN_SCHEMA} AND nspname <> 'public' ORDER BY nspname COLLATE "C"`,
  );
}

/** Sequences of identity columns come with their column. */
const FREE_SEQUENCES = `FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_sequence s ON s.seqrelid = c.oid
  LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
  WHERE ${OWN_SCHEMA} AND d.deptype IS DISTINCT FROM 'i'`;

async function listSequences(sql: Sql): Promise<string[]> {
  return listStatements(
    sql,
    `SELECT format('CREATE SEQUENCE %s AS %s', c.oid::regclass, format_type(s.seqtypid, NULL)) AS statement ${FREE_SEQUENCES}
     ORDER BY nspname COLLATE "C", relname COLLATE "C"`,
  );
}

async function listSequenceOwners(sql: Sql): Promise<string[]> {
  return listStatements(
    sql,
    `SELECT format('ALTER SEQUENCE %s OWNED BY %s.%I', c.oid::regclass, d.refobjid::regclass,
              (SELECT attname FROM pg_attribute WHERE attrelid = d.refobjid AND attnum = d.refobjsubid)) AS statement
     ${FREE_SEQUENCES} AND d.deptype = 'a' ORDER BY nspname COLLATE "C", relname COLLATE "C"`,
  );
}

async function listTables(sql: Sql): Promise<string[]> {
  const tables = await sql.query<TableRow>({
    text: `SELECT c.oid, c.oid::regclass::text AS table, pg_get_partkeydef(c.oid) AS partition_by, array_to_string(c.reloptions, ', ') AS options
           FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE ${OWN_SCHEMA} AND c.relkind IN ('r', 'p') AND NOT c.relispartition
           ORDER BY nspname COLLATE "C", relname COLLATE "C"`,
  });
  const statements: string[] = [];
  for (const table of tables) {
    const columns = await listColumns(sql, table.oid);
    const lines = [...columns.map(formatColumn), ...(await listConstraints(sql, table.oid))];
    const partitionBy = table.partition_by === null ? '' : ` PARTITION BY ${table.partition_by}`;
    const options = table.options === null ? '' : ` WITH (${table.options})`;
    statements.push(`CREATE TABLE ${table.table} (\n${lines.map((line) => `  ${line}`).join(',\n')}\n)${partitionBy}${options}`);
    statements.push(
      ...columns.flatMap(({ name, storage }) =>
        storage === null ? [] : [`ALTER TABLE ${table.table} ALTER COLUMN ${name} SET STORAGE ${STORAGE_NAMES[storage]}`],
      ),
    );
  }
  return statements;
}

async function listColumns(sql: Sql, table: string): Promise<ColumnRow[]> {
  return sql.query<ColumnRow>({
    text: `SELECT quote_ident(a.attname) AS name, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS not_null,
             CASE WHEN a.attcollation <> t.typcollation THEN (SELECT quote_ident(collname) FROM pg_collation WHERE oid = a.attcollation) END AS collation,
             pg_get_expr(d.adbin, d.adrelid) AS value, a.attidentity AS identity, a.attgenerated AS generated,
             CASE WHEN a.attstorage <> t.typstorage THEN a.attstorage END AS storage
           FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
           LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
           WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
           ORDER BY a.attnum`,
    values: [table],
  });
}

function formatColumn(column: ColumnRow): string {
  const parts = [column.name, column.type];
  if (column.collation !== null) parts.push(`COLLATE ${column.collation}`);
  if (column.identity !== '') parts.push(`GENERATED ${column.identity === 'a' ? 'ALWAYS' : 'BY DEFAULT'} AS IDENTITY`);
  else if (column.generated !== '') parts.push(`GENERATED ALWAYS AS (${column.value}) ${column.generated === 's' ? 'STORED' : 'VIRTUAL'}`);
  else if (column.value !== null) parts.push(`DEFAULT ${column.value}`);
  if (column.not_null) parts.push('NOT NULL');
  return parts.join(' ');
}

/** Not-null constraints stand with their column: they have catalog rows since Postgres 18 only. */
async function listConstraints(sql: Sql, table: string): Promise<string[]> {
  return listStatements(
    sql,
    `SELECT format('CONSTRAINT %I %s', conname, pg_get_constraintdef(oid)) AS statement FROM pg_constraint
     WHERE conrelid = $1 AND contype IN ('p', 'u', 'x', 'c')
     ORDER BY strpos('puxc', contype::text), conname COLLATE "C"`,
    [table],
  );
}

/** Before the tables, whose checks may call them; their bodies are not looked at when they are made. */
async function listFunctions(sql: Sql): Promise<string[]> {
  return listStatements(
    sql,
    `SELECT rtrim(pg_get_functiondef(p.oid), E'\\n') AS statement FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
     WHERE ${OWN_SCHEMA} AND p.prokind IN ('f', 'p')
     ORDER BY nspname COLLATE "C", proname COLLATE "C", pg_get_function_identity_arguments(p.oid) COLLATE "C"`,
  );
}

/** In the order of their creation, so that a view stands after those that it reads. */
async function listViews(sql: Sql): Promise<string[]> {
  return listStatements(
    sql,
    `SELECT format(E'CREATE VIEW %s AS\\n%s', c.oid::regclass, rtrim(pg_get_viewdef(c.oid), ';')) AS statement
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE ${OWN_SCHEMA} AND c.relkind = 'v' ORDER BY c.oid`,
  );
}

async function listStatements(sql: Sql, text: string, values: readonly unknown[] = []): Promise<string[]> {
  return (await sql.query<{ statement: string }>({ text, values })).map((row) => row.statement);
}
