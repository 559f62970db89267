import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { listCursor, numberedListCursor } from './cursor.js';
import { overrideDocumented } from './documented-as.js';
import { CursorInvalidError } from './http.errors.js';
import { pageQuerySchema, toPage } from './page.js';
import { textSchema } from './text-schema.js';

const cursors = listCursor('bells');
const numbered = numberedListCursor('lines');
const ID = '01a21857-c9b2-7dbc-9f2b-470d1f63ac05';
const CURSOR = 'bells_01a21857c9b27dbc9f2b470d1f63ac05';

describe('cursors', () => {
  it('give back the place they were made of, and the start where there is none', () => {
    expect(cursors.encode(ID)).toBe(CURSOR);
    expect(cursors.decode(CURSOR)).toBe(ID);
    expect(cursors.decode(undefined)).toBeUndefined();
    for (const line of [0, 7, 999_999_999]) expect(numbered.decode(numbered.encode(line))).toBe(line);
  });

  it.each([
    ['of another list with places of the same form', listCursor('songs').encode(ID)],
    ['of a list whose name begins alike', CURSOR.replace('_', '-old_')],
    ['in capitals', CURSOR.toUpperCase()],
    ['that is cut off', CURSOR.slice(0, -1)],
    ['that is too long', `${CURSOR}0`],
    ['with a line break', `${CURSOR}\n`],
    ['that is empty', ''],
  ])('refuse one %s', (_, cursor) => {
    expect(() => cursors.decode(cursor)).toThrow(CursorInvalidError);
  });

  it.each([-1, 1.5, 1_000_000_000])('are not made of %s, which is no place of a numbered list', (line) => {
    expect(() => numbered.encode(line)).toThrow('is no place');
  });

  it('are documented by what decodes', () => {
    const { properties = {} } = z.toJSONSchema(pageQuerySchema(cursors), { io: 'input', override: overrideDocumented });
    const { pattern = '' } = properties['cursor'] as { pattern?: string };
    expect(CURSOR).toMatch(new RegExp(pattern));
    expect(listCursor('songs').encode(ID)).not.toMatch(new RegExp(pattern));
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
