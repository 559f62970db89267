import { documentedAs } from './documented-as.js';
import { CursorInvalidError } from './http.errors.js';
import { textSchema } from './text-schema.js';
import type { z } from 'zod';

/** Longest cursor in characters that is looked at. */
export const CURSOR_CHARACTERS_MAX = 1_024;

/** The cursors of one list: opaque to clients, and refused by every other list. */
export interface ListCursor<Place> {
  /** Schema of a cursor in a query; `decode` refuses what it does not describe. */
  readonly schema: z.ZodType<string, string>;
  /** The cursor that stands for a place. */
  encode(place: Place): string;
  /**
   * Reads a cursor back; without one the list begins at its start.
   *
   * @throws CursorInvalidError when it was changed or belongs to another list.
   */
  decode(cursor: string | undefined): Place | undefined;
}

const UUID_DIGITS = /^(.{8})(.{4})(.{4})(.{4})(.{12})$/;

/**
 * Makes the cursors of a list whose places are UUIDs: of what comes before or after in the order of the list. Whatever the schema describes
 * is such a place, also where nothing ever was.
 *
 * @param list its name, part of each cursor: a cursor in the wrong list would be a silent empty page.
 */
export function listCursor(list: string): ListCursor<string> {
  return makeCursor(list, '[0-9a-f]{32}', {
    write: (uuid) => uuid.replaceAll('-', ''),
    read: (digits) => digits.replace(UUID_DIGITS, '$1-$2-$3-$4-$5'),
  });
}

/** As {@link listCursor}, for places that are whole numbers below a billion. */
export function numberedListCursor(list: string): ListCursor<number> {
  return makeCursor(list, '[0-9]{9}', { write: (place) => String(place).padStart(9, '0'), read: Number });
}

interface PlaceForm<Place> {
  readonly write: (place: Place) => string;
  readonly read: (text: string) => Place;
}

function makeCursor<Place>(list: string, form: string, { write, read }: PlaceForm<Place>): ListCursor<Place> {
  const prefix = `${list}_`;
  const pattern = `^${prefix}${form}$`;
  const expression = new RegExp(pattern);
  return {
    schema: documentedAs(textSchema({ min: 1, max: CURSOR_CHARACTERS_MAX }), {
      type: 'string',
      pattern,
      description: '`next_cursor` of the previous page.',
    }),
    encode: (place) => {
      const cursor = `${prefix}${write(place)}`;
      if (!expression.test(cursor)) throw new Error(`${String(place)} is no place of the list ${list}.`);
      return cursor;
    },
    decode: (cursor) => {
      if (cursor === undefined) return undefined;
      if (!expression.test(cursor)) throw new CursorInvalidError();
      return read(cursor.slice(prefix.length));
    },
  };
}
