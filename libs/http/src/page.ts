import { z } from 'zod';
import type { ListCursor } from './cursor.js';
import { documentedAs } from './documented-as.js';

/** Most items of one page. */
export const PAGE_ITEMS_MAX = 100;

/** Items of one page when the caller does not say. */
export const PAGE_ITEMS_DEFAULT = 20;

const limitSchema = documentedAs(
  z
    .string()
    .regex(/^\d{1,9}$/, { error: 'must be a whole number' })
    .transform(Number)
    .pipe(z.int().min(1).max(PAGE_ITEMS_MAX))
    .default(PAGE_ITEMS_DEFAULT),
  { type: 'integer', minimum: 1, maximum: PAGE_ITEMS_MAX, default: PAGE_ITEMS_DEFAULT, description: 'Items of one page.' },
);

/**
 * The query of every list: `limit` and a `cursor` of the list. Extend it for filters:
 * `pageQuerySchema(cursors).extend({ state: z.enum([…]).optional() })`. Unknown parameters are refused.
 */
export function pageQuerySchema(cursors: ListCursor<unknown>) {
  return z.strictObject({ limit: limitSchema, cursor: cursors.schema.optional() });
}

/** The parsed query of a list. */
export type PageQuery = z.infer<ReturnType<typeof pageQuerySchema>>;

/** One page of a list. */
export interface Page<Item> {
  readonly data: readonly Item[];
  readonly has_more: boolean;
  /** Cursor of the next page; `null` on the last one. */
  readonly next_cursor: string | null;
}

/** Schema of a page of `item`, shown in the OpenAPI document as `name`. */
export function pageSchema<Item extends z.ZodType>(item: Item, name: string) {
  return z
    .object({
      data: z.array(item),
      has_more: z.boolean().meta({ description: 'True when there is another page.' }),
      next_cursor: z.string().nullable().meta({ description: 'Pass it as `cursor` to get the next page; null on the last one.' }),
    })
    .meta({ id: name });
}

/**
 * Makes a page of `limit + 1` fetched rows: the surplus row only tells that there is more.
 *
 * @param cursorOf the cursor that stands for the place after a row.
 */
export function toPage<Row, Item>(
  rows: readonly Row[],
  limit: number,
  present: (row: Row) => Item,
  cursorOf: (row: Row) => string,
): Page<Item> {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const hasMore = rows.length > limit && last !== undefined;
  return { data: shown.map(present), has_more: hasMore, next_cursor: hasMore ? cursorOf(last) : null };
}
