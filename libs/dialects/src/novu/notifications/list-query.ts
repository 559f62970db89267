import { z } from 'zod';
import { documentedAs, textSchema, ValidationFailedError } from '#http';
import { decodeMessageId, MESSAGE_ID_PATTERN } from '#contracts';
import { INSTANT_MS_MAX, type NovuFilter, novuFilterSchema, SEVERITIES } from './notification-filter.js';

/** Notifications of one page. */
export const NOVU_PAGE_MAX = 100;
const PAGE_DEFAULT = 10;
/** How far a page may lie from the newest notification; beyond it `after` is the way. */
export const NOVU_OFFSET_MAX = 1_000;

const DECIMAL_PATTERN = /^\d{1,16}$/;
const ID_CHARACTERS_MAX = 100;
const TEXT_CHARACTERS_MAX = 4_000;

const flag = z
  .enum(['true', 'false'])
  .transform((text) => text === 'true')
  .optional();

function decimal(bounds: { min: number; max: number }) {
  const number = z
    .string()
    .regex(DECIMAL_PATTERN, 'must be a whole number')
    .transform(Number)
    .pipe(z.int().min(bounds.min).max(bounds.max));
  return documentedAs(number, { type: 'integer', minimum: bounds.min, maximum: bounds.max }).optional();
}

const text = textSchema({ max: TEXT_CHARACTERS_MAX });
const severities = documentedAs(z.union([text.transform((one) => [one]), z.array(text)]), {
  type: 'string',
  enum: [...SEVERITIES],
}).optional();

/** The query of a list as clients send it. Tags come under names with brackets, which is why unknown names are let through. */
export const novuListQuerySchema = z.looseObject({
  limit: decimal({ min: 1, max: NOVU_PAGE_MAX }),
  after: textSchema({ max: ID_CHARACTERS_MAX })
    .optional()
    .meta({ description: 'The id of the last notification of the page before.', pattern: MESSAGE_ID_PATTERN.source }),
  offset: decimal({ min: 0, max: NOVU_OFFSET_MAX }),
  read: flag,
  archived: flag,
  seen: flag,
  snoozed: flag,
  severity: severities,
  'severity[]': severities,
  data: documentedAs(text, { type: 'string', const: '{}', description: 'Filters by data are not supported.' }).optional(),
  createdGte: decimal({ min: 0, max: INSTANT_MS_MAX }),
  createdLte: decimal({ min: 0, max: INSTANT_MS_MAX }),
});

export type NovuListQuery = z.infer<typeof novuListQuerySchema>;

/** One page as a client wants it. */
export interface NovuPage {
  readonly filter: NovuFilter;
  /** The message key before which the page begins. */
  readonly before: string | undefined;
  readonly offset: number;
  readonly limit: number;
}

/**
 * Reads the query of a list.
 * @throws ValidationFailedError
 */
export function toNovuPage(query: NovuListQuery): NovuPage {
  const { limit = PAGE_DEFAULT, after, offset = 0, severity, 'severity[]': several, data, ...rest } = query;
  const key = after === undefined ? undefined : decodeMessageId(after);
  if (after !== undefined && key === undefined) throw refusal('after', 'must be the id of a notification');
  const tags = tagsOf(rest);
  const parsed = novuFilterSchema.safeParse({
    ...rest,
    tags,
    severity: several ?? (severity?.length === 1 ? severity[0] : severity),
    data: data === undefined ? undefined : parse(data),
  });
  if (parsed.success) return { filter: parsed.data, before: key?.messageKey, offset, limit };
  const [issue] = parsed.error.issues;
  throw refusal(String(issue?.path[0] ?? 'query'), issue?.message ?? 'is not valid');
}

/** `tags[]` is a list of which one has to fit; `tags[0][]`, `tags[1][]` are lists of each of which one has to fit. */
function tagsOf(query: Readonly<Record<string, unknown>>): unknown {
  const flat = ['tags', 'tags[]'].flatMap((name) => toList(query[name]));
  const groups = Object.entries(query).flatMap(([name, value]) => (/^tags\[\d{1,3}\]\[\]$/.test(name) ? [{ or: toList(value) }] : []));
  if (groups.length > 0) return { and: flat.length > 0 ? [{ or: flat }, ...groups] : groups };
  return flat.length > 0 ? flat : undefined;
}

function toList(value: unknown): unknown[] {
  return value === undefined ? [] : [value].flat();
}

/** What is no JSON is no object either. */
function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return json;
  }
}

function refusal(pointer: string, message: string): ValidationFailedError {
  return new ValidationFailedError([{ pointer, code: 'invalid', message }]);
}
