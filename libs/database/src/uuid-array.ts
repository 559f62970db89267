/** Type `uuid[]` of Postgres (pg_type.dat). */
export const UUID_ARRAY_OID: number = 2951;

/**
 * Reads the text form of a one-dimensional array of UUIDs. They need no quoting, so cutting at the commas is enough; pg's own parser goes
 * letter by letter, which for a chunk of a thousand recipients costs more than all else that is read.
 */
export function parseUuidArray(text: string): (string | null)[] {
  const inner = text.slice(1, -1);
  if (inner === '') return [];
  const items: (string | null)[] = inner.split(',');
  return inner.includes('NULL') ? items.map((item) => (item === 'NULL' ? null : item)) : items;
}
