import { z } from 'zod';
import { CursorInvalidError } from './http.errors.js';

/** Longest cursor in characters that is looked at. */
export const CURSOR_CHARACTERS_MAX = 1_024;

/** The cursors of one list: opaque to clients, and refused by every other list. */
export interface ListCursor<Place> {
  /** The cursor that stands for a place. */
  encode(place: Place): string;
  /**
   * Reads a cursor back; without one the list begins at its start.
   *
   * @throws CursorInvalidError when it was changed, is too long or belongs to another list.
   */
  decode(cursor: string | undefined): Place | undefined;
}

/**
 * Makes the cursors of one list. Put ids, numbers and texts into a place, never a `Date`: it drops the microseconds that Postgres sorts by.
 *
 * @param list its name, part of each cursor: places of two lists may look alike, and a cursor in the wrong list would be a silent empty page.
 */
export function listCursor<Shape extends z.ZodRawShape>(list: string, place: Shape): ListCursor<z.output<z.ZodObject<Shape>>> {
  const placeSchema = z.strictObject(place);
  const envelopeSchema = z.strictObject({ list: z.literal(list), place: placeSchema });
  return {
    encode: (position) => Buffer.from(JSON.stringify({ list, place: position }), 'utf8').toString('base64url'),
    decode: (cursor) => (cursor === undefined ? undefined : decodeCursor(cursor, envelopeSchema).place),
  };
}

function decodeCursor<Content>(cursor: string, schema: z.ZodType<Content>): Content {
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
