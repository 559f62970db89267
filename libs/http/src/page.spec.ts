import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { CURSOR_CHARACTERS_MAX, listCursor } from './cursor.js';
import { CursorInvalidError } from './http.errors.js';
import { toPage } from './page.js';
import { textSchema } from './text-schema.js';

const cursors = listCursor('bells', { id: z.string(), at: z.string() });

describe('cursors', () => {
  it('give back the place they were made of, and the start where there is none', () => {
    const position = { id: 'cmp_1', at: '2026-01-02T03:04:05.123456Z' };
    expect(cursors.decode(cursors.encode(position))).toEqual(position);
    expect(cursors.decode(undefined)).toBeUndefined();
  });

  it.each([
    ['of another list with places of the same form', listCursor('songs', { id: z.string(), at: z.string() }).encode({ id: 'a', at: 'b' })],
    ['of another form', Buffer.from('{"list":"bells","place":{"offset":3}}').toString('base64url')],
    ['that is not base64url', 'äöü'],
    ['with padding', `${cursors.encode({ id: 'a', at: 'b' })}=`],
    ['that is not JSON', Buffer.from('{').toString('base64url')],
    ['that is too long', 'A'.repeat(CURSOR_CHARACTERS_MAX + 1)],
    ['that is empty', ''],
  ])('refuse one %s', (_, cursor) => {
    expect(() => cursors.decode(cursor)).toThrow(CursorInvalidError);
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
