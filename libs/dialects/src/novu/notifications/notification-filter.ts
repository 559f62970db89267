import { z } from 'zod';
import { textSchema, ValidationFailedError } from '#http';
import type { MessageFilter } from '#inbox';
import { NovuFilterUnsupportedError } from '../novu.errors.js';

/** These clients count up to here: 100 stands for 100 or more. */
export const NOVU_COUNT_MAX = 100;

const TAG_CHARACTERS_MAX = 255;
const TAGS_MAX = 200;
const TAG_GROUPS_MAX = 30;
/** The last millisecond of the year 9999. */
export const INSTANT_MS_MAX = 253_402_300_799_999;

/** Severities that clients know. */
export const SEVERITIES = ['high', 'medium', 'low', 'none'] as const;

const tagList = z.array(textSchema({ max: TAG_CHARACTERS_MAX })).max(TAGS_MAX);
const severity = z.enum(SEVERITIES);

/** The instants of a filter are Unix milliseconds. */
export const instantMs = z.int().min(0).max(INSTANT_MS_MAX);

/** Which notifications, as a client says it; what is absent accepts all. */
export const novuFilterSchema = z
  .object({
    tags: z
      .union([tagList, z.object({ or: tagList }), z.object({ and: z.array(z.object({ or: tagList })).max(TAG_GROUPS_MAX) })])
      .optional()
      .meta({ description: 'Messages here have no tags: a filter that names one finds nothing.' }),
    read: z.boolean().optional(),
    archived: z.boolean().optional(),
    seen: z.boolean().optional(),
    snoozed: z.boolean().optional().meta({ description: 'Messages here are never snoozed: true finds nothing.' }),
    severity: z
      .union([severity, z.array(severity).max(SEVERITIES.length)])
      .optional()
      .meta({ description: 'Messages here have none: any other finds nothing.' }),
    data: z.record(z.string(), z.unknown()).optional().meta({ description: 'Not supported.' }),
    createdGte: instantMs.optional(),
    createdLte: instantMs.optional(),
  })
  .meta({ id: 'NovuNotificationFilter' });

export type NovuFilter = z.infer<typeof novuFilterSchema>;

/**
 * The filter of our inbox; `undefined` where no message can pass, because messages here have neither tags nor a severity and are never
 * snoozed.
 *
 * @throws NovuFilterUnsupportedError where we could not say what passes
 * @throws ValidationFailedError for unread and archived at once: archiving reads
 */
export function toMessageFilter(filter: NovuFilter): MessageFilter | undefined {
  const { tags, read, archived, seen, snoozed, data, createdGte, createdLte } = filter;
  if (data !== undefined && Object.keys(data).length > 0) throw new NovuFilterUnsupportedError('data');
  if (read === false && archived === true) {
    throw new ValidationFailedError([{ pointer: 'read', code: 'invalid', message: 'must not be false where archived is true' }]);
  }
  if (snoozed === true || namesTag(tags) || !acceptsNoSeverity(filter.severity)) return undefined;
  return {
    ...(read === undefined ? {} : { unread: !read }),
    ...(seen === undefined ? {} : { seen }),
    ...(archived === undefined ? {} : { archived }),
    ...(createdGte === undefined ? {} : { deliveredFrom: new Date(createdGte) }),
    ...(createdLte === undefined ? {} : { deliveredTo: new Date(createdLte) }),
  };
}

/** True for a filter by at least one tag. */
export function namesTag(tags: NovuFilter['tags']): boolean {
  if (tags === undefined) return false;
  if (Array.isArray(tags)) return tags.length > 0;
  return 'or' in tags ? tags.or.length > 0 : tags.and.some((group) => group.or.length > 0);
}

function acceptsNoSeverity(wanted: NovuFilter['severity']): boolean {
  if (wanted === undefined) return true;
  return Array.isArray(wanted) ? wanted.length === 0 || wanted.includes('none') : wanted === 'none';
}
