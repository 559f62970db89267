import type { z } from 'zod';
import { CursorInvalidError } from './http.errors.js';

/** Longest cursor in characters that is looked at. */
export const CURSOR_CHARACTERS_MAX = 1_024;

/**
 * Makes an opaque cursor of a place in a list. Put ids, numbers and texts in it, never a `Date`: it drops the microseconds that
 * Postgres sorts by.
 */
export function encodeCursor(place: Readonly<Record<string, string | number | boolean | null>>): string {
  return Buffer.from(JSON.stringify(place), 'utf8').toString('base64url');
}

/**
 * Reads a cursor back.
 *
 * @throws CursorInvalidError when it was changed, is too long or belongs to another list.
 */
export function decodeCursor<Place>(cursor: string, schema: z.ZodType<Place>): Place {
  if (cursor.length > CURSOR_CHARACTERS_MAX) throw new CursorInvalidError();
  const bytes = Buffer.from(cursor, 'base64url');
  if (bytes.toString('base64url') !== cursor) throw new CursorInvalidError();
  let place: unknown;
  try {
    place = JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw new CursorInvalidError(error);
  }
  const parsed = schema.safeParse(place);
  if (!parsed.success) throw new CursorInvalidError(parsed.error);
  return parsed.data;
}
