import type { Database } from '#database';

/** Ids are made as the API makes them: ascending by time, and only once each. */
const PEOPLE_PER_INSERT = 100_000;

/**
 * Adds subscribers to the production environment until it has so many, with a name and a plan each. They are written in bulk, by the
 * database itself: importing them is no part of what is measured.
 */
export async function growAudience(database: Database, size: number): Promise<void> {
  const [counted] = await database.query<{ people: number }>({ text: 'SELECT count(*)::integer AS people FROM subscribers.subscriber' });
  for (let from = counted?.people ?? 0; from < size; from += PEOPLE_PER_INSERT) {
    await database.execute({
      text: `INSERT INTO subscribers.subscriber (environment_id, id, external_id, attributes)
        SELECT environment.id, uuidv7(), 'person-' || number, jsonb_build_object('name', 'Person ' || number, 'plan', number % 3)
        FROM tenancy.environment AS environment, generate_series($1::integer, $2::integer) AS number
        WHERE environment.kind = 'production'`,
      values: [from, Math.min(from + PEOPLE_PER_INSERT, size) - 1],
    });
  }
  await database.execute({ text: 'VACUUM ANALYZE subscribers.subscriber' });
}
