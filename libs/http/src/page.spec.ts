import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { CURSOR_CHARACTERS_MAX, decodeCursor, encodeCursor } from './cursor.js';
import { CursorInvalidError } from './http.errors.js';
import { toPage } from './page.js';
import { textSchema } from './text-schema.js';

const placeSchema = z.strictObject({ id: z.string(), at: z.string() });

describe('cursors', () => {
  it('give back the place they were made of', () => {
    const place = { id: 'cmp_1', at: '2026-01-02T03:04:05.123456Z' };
    expect(decodeCursor(encodeCursor(place), placeSchema)).toEqual(place);
  });

  it.each([
    ['of another list', encodeCursor({ offset: 3 })],
    ['that is not base64url', 'äöü'],
    ['with padding', `${encodeCursor({ id: 'a', at: 'b' })}=`],
    ['that is not JSON', Buffer.from('{').toString('base64url')],
    ['that is too long', 'A'.repeat(CURSOR_CHARACTERS_MAX + 1)],
    ['that is empty', ''],
  ])('refuse one %s', (_, cursor) => {
    expect(() => decodeCursor(cursor, placeSchema)).toThrow(CursorInvalidError);
  });
});

describe('toPage', () => {
  it('shows limit rows and a cursor after the last of them when there is a surplus row', () => {
    expect(
      toPage(
        [1, 2, 3],
        2,
        (row) => row * 10,
        (row) => `after-${row}`,
      ),
    ).toEqual({ data: [10, 20], has_more: true, next_cursor: 'after-2' });
  });

  it('ends with a null cursor on the last page, also when it is full or empty', () => {
    expect(toPage([1, 2], 2, (row) => row, String)).toEqual({ data: [1, 2], has_more: false, next_cursor: null });
    expect(toPage([], 2, (row) => row, String)).toEqual({ data: [], has_more: false, next_cursor: null });
  });
});

describe('textSchema', () => {
  it.each(['a\0b', '\ud800', 'x\udc00y'])('refuses %j, which Postgres cannot store', (text) => {
    expect(textSchema({ max: 10 }).safeParse(text).success).toBe(false);
  });

  it('takes any other text within its bounds', () => {
    const schema = textSchema({ min: 1, max: 4 });
    for (const text of ['a', '😀😀', '\u0001']) expect(schema.safeParse(text).success).toBe(true);
    for (const text of ['', 'abcde']) expect(schema.safeParse(text).success).toBe(false);
  });
});
