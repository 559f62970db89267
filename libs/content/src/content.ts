import { z } from 'zod';
import { isStorableText, textSchema } from '#http';
import { LIQUID_MARK, looksLikeTemplate } from './liquid.js';
import { isSafeUrl, SAFE_URL_FORMS, URL_CHARACTERS_MAX } from './safe-url.js';

/** Limits of a content as it is written; the limits of rendered text stand beside them because templates are longer than their results. */
export const CONTENT_LIMITS = {
  titleTemplateCharactersMax: 1_000,
  titleCharactersMax: 500,
  bodyTemplateCharactersMax: 10_000,
  bodyCharactersMax: 5_000,
  actionsMax: 4,
  actionTitleTemplateCharactersMax: 500,
  actionTitleCharactersMax: 100,
  dataKeysMax: 50,
  dataBytesMax: 2_048,
} as const;

const UNSAFE_URL = 'must be an https URL (http only for localhost) or a path that starts with a single slash';

/** A template may be longer than what it renders to; plain text is already held to the limit of rendered text. */
function templateText(templateCharactersMax: number, charactersMax: number): z.ZodString {
  return textSchema({ max: templateCharactersMax })
    .refine((value) => looksLikeTemplate(value) || value.length <= charactersMax, `must be at most ${charactersMax} characters`)
    .meta({ description: 'Liquid template', anyOf: [{ maxLength: charactersMax }, { pattern: LIQUID_MARK.source }] });
}

function filled(schema: z.ZodString): z.ZodString {
  return schema.regex(/\S/, 'must not be blank');
}

const fixedUrl = textSchema({ max: URL_CHARACTERS_MAX }).refine(isSafeUrl, UNSAFE_URL).meta({ anyOf: SAFE_URL_FORMS });
/** A URL with templates can only be judged after rendering, once per subscriber. */
const templateUrl = textSchema({ max: URL_CHARACTERS_MAX })
  .refine((value) => looksLikeTemplate(value) || isSafeUrl(value), UNSAFE_URL)
  .meta({ anyOf: [...SAFE_URL_FORMS, { pattern: LIQUID_MARK.source }] });

const actionSchema = z.strictObject({
  id: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be 1 to 64 letters, digits, _ or -'),
  title: filled(templateText(CONTENT_LIMITS.actionTitleTemplateCharactersMax, CONTENT_LIMITS.actionTitleCharactersMax)),
  url: templateUrl.optional().describe('Liquid template; where the action leads'),
});

const dataSchema = z
  .record(z.string().min(1).max(100), z.union([textSchema({ max: CONTENT_LIMITS.dataBytesMax }), z.number(), z.boolean(), z.null()]))
  .refine((data) => Object.keys(data).length <= CONTENT_LIMITS.dataKeysMax, `must have at most ${CONTENT_LIMITS.dataKeysMax} keys`)
  .refine((data) => Object.keys(data).every(isStorableText), 'must not have NUL characters or lone surrogates in its keys')
  .refine(
    (data) => Buffer.byteLength(JSON.stringify(data)) <= CONTENT_LIMITS.dataBytesMax,
    `must be at most ${CONTENT_LIMITS.dataBytesMax} bytes of JSON`,
  );

/**
 * What a message says, as the API takes it. Title, body, URLs and action titles are Liquid templates over `subscriber.*`; everything
 * is plain text: nothing in it is ever interpreted as HTML. Its `shape` is spread into the bodies of campaigns and single messages.
 */
export const contentSchema = z.strictObject({
  title: filled(templateText(CONTENT_LIMITS.titleTemplateCharactersMax, CONTENT_LIMITS.titleCharactersMax)),
  body: templateText(CONTENT_LIMITS.bodyTemplateCharactersMax, CONTENT_LIMITS.bodyCharactersMax).optional(),
  url: templateUrl.optional().describe('Liquid template; where a click leads: https, or a path on the same site'),
  icon: fixedUrl.optional(),
  image: fixedUrl.optional(),
  actions: z
    .array(actionSchema)
    .max(CONTENT_LIMITS.actionsMax)
    .refine((actions) => new Set(actions.map((action) => action.id)).size === actions.length, 'must not repeat an action id')
    .optional(),
  data: dataSchema.optional().describe('flat JSON, handed to the client as it is'),
});

/** The fields of a content, templates unrendered. */
export type ContentFields = z.infer<typeof contentSchema>;

/** One button of a message. */
export type ContentAction = z.infer<typeof actionSchema>;

/** A stored content; it never changes. */
export interface Content {
  readonly id: string;
  readonly fields: ContentFields;
  /** True when the message differs between subscribers: the delivery stages then read profiles and call `renderContent`. */
  readonly personalised: boolean;
}

/** Takes the content out of a larger body whose schema spreads `contentSchema.shape`. */
export function pickContent(body: ContentFields): ContentFields {
  const { title, body: text, url, icon, image, actions, data } = body;
  return { title, body: text, url, icon, image, actions, data };
}
