import { z } from 'zod';
import { decodeId, encodeId } from '#contracts';
import { ruleSchema, type Rule } from '#segments';

/** Whom a campaign addresses, as it is stored: ids are UUIDs. */
export type Audience = { readonly all: true } | { readonly segment_id: string } | { readonly rule: Rule };

const audienceShape = z.strictObject({
  all: z.literal(true).optional().describe('Everybody; those who unsubscribed are counted as skipped'),
  segment_id: z.string().max(64).optional().describe('The people of a segment, seg_…, at the moment of the trigger'),
  rule: ruleSchema.optional().describe('The people who fulfil a rule'),
});

/** Whom a campaign addresses, as the API takes and shows it: exactly one of the three members. */
export const audienceSchema = audienceShape
  .refine((audience) => Object.values(audience).filter((member) => member !== undefined).length === 1, {
    error: 'must have exactly one of "all", "segment_id" and "rule"',
  })
  .meta({ id: 'Audience', oneOf: [{ required: ['all'] }, { required: ['segment_id'] }, { required: ['rule'] }] });

export type AudienceInput = z.infer<typeof audienceSchema>;

/** The id of a segment that cannot exist: a text that is no segment id is treated like an unknown one. */
const UNKNOWN_SEGMENT_ID = '00000000-0000-0000-0000-000000000000';

/** Reads the API's form. */
export function parseAudience(input: AudienceInput): Audience {
  if (input.rule !== undefined) return { rule: input.rule };
  if (input.segment_id !== undefined) return { segment_id: decodeId('segment', input.segment_id) ?? UNKNOWN_SEGMENT_ID };
  return { all: true };
}

/** Shows an audience in the API's form. */
export function presentAudience(audience: Audience): AudienceInput {
  return 'segment_id' in audience ? { segment_id: encodeId('segment', audience.segment_id) } : audience;
}
