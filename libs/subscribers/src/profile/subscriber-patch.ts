import { z } from 'zod';
import type { FieldFault } from '#contracts';
import {
  ATTRIBUTE_LIST_ITEMS_MAX,
  ATTRIBUTE_NAME_LENGTH_MAX,
  ATTRIBUTE_TEXT_BYTES_MAX,
  ATTRIBUTES_BYTES_MAX,
  ATTRIBUTES_MAX,
} from '../subscribers.limits.js';
import { toAttributeValue, type AttributeType, type AttributeValue } from './attribute-value.js';
import { externalIdFault } from './external-id.js';
import { canonicalLocale, isTimeZone } from './locale-and-time-zone.js';

/** Declared types of an environment's attributes by name. */
export type DeclaredTypes = ReadonlyMap<string, AttributeType>;

/**
 * A change of one subscriber. What is absent stays as it is; `null` clears. Attributes are merged shallowly by name: a list is replaced as
 * a whole.
 */
export interface SubscriberPatch {
  readonly externalId: string;
  readonly attributes?: Readonly<Record<string, AttributeValue | null>>;
  readonly locale?: string | null;
  readonly timeZone?: string | null;
  /** True: the person gets no more messages, from now. False: gets them again. */
  readonly unsubscribed?: boolean;
}

/** A change as it was sent, before anything was checked. */
export interface SubscriberPatchInput {
  readonly external_id: string;
  readonly attributes?: Readonly<Record<string, unknown>> | undefined;
  readonly locale?: string | null | undefined;
  readonly time_zone?: string | null | undefined;
  readonly unsubscribed?: boolean | undefined;
}

/** The checked change, or everything that is wrong with the input. */
export type PatchOutcome =
  | { readonly ok: true; readonly patch: SubscriberPatch }
  | { readonly ok: false; readonly faults: readonly [FieldFault, ...FieldFault[]] };

const REMOVED = { ok: true, value: null } as const;
/** A control character takes six bytes in JSON: `\u001f`. */
const JSON_BYTES_PER_UNIT_MAX = 6;
/** Quotes of a name and of a value, a colon and a comma. */
const PUNCTUATION_LENGTH = 6;
/** `-1.7976931348623157e+308` with the punctuation of its name. */
const NUMBER_LENGTH_MAX = 30;

/** Names that would reach an object's prototype wherever attributes are read as plain objects. */
const RESERVED_NAMES = new Set(['__proto__', 'constructor', 'prototype']);
// oxlint-disable-next-line no-control-regex
const UNFIT_CHARACTERS = /[\u0000-\u001f\u007f\p{Surrogate}]/u;

/** Names that were checked and found good, because an import checks the same few names on every line. */
const goodNames = new Set<string>();
const GOOD_NAMES_MAX = 2_000;

/** What is wrong with an attribute's name; `undefined` when it is one. */
export function attributeNameFault(name: string): string | undefined {
  if (goodNames.has(name)) return undefined;
  if (name === '') return 'must not be empty';
  if (RESERVED_NAMES.has(name)) return `must not be ${name}`;
  if (UNFIT_CHARACTERS.test(name)) return 'must not contain control characters or lone surrogates';
  if (name.length > ATTRIBUTE_NAME_LENGTH_MAX && [...name].length > ATTRIBUTE_NAME_LENGTH_MAX) {
    return `must not be longer than ${ATTRIBUTE_NAME_LENGTH_MAX} characters`;
  }
  if (goodNames.size < GOOD_NAMES_MAX) goodNames.add(name);
  return undefined;
}

/** The form of an attribute's name for the OpenAPI document. */
export const ATTRIBUTE_NAME_JSON_SCHEMA = {
  type: 'string',
  minLength: 1,
  maxLength: ATTRIBUTE_NAME_LENGTH_MAX,
  pattern: '^[^\\u0000-\\u001f\\u007f]*$',
  not: { enum: [...RESERVED_NAMES] },
};

/** Name of an attribute: 1 to 100 characters without controls, compared exactly. */
export const attributeNameSchema = z
  .string()
  .superRefine((name, context) => {
    const fault = attributeNameFault(name);
    if (fault !== undefined) context.addIssue({ code: 'custom', message: fault });
  })
  .meta({ description: 'Name of an attribute, compared exactly.', ...ATTRIBUTE_NAME_JSON_SCHEMA, examples: ['plan'] });

/** The form of an attribute's value for the OpenAPI document. */
const ATTRIBUTE_VALUE_JSON_SCHEMA = {
  anyOf: [
    { type: 'string', maxLength: ATTRIBUTE_TEXT_BYTES_MAX },
    { type: ['number', 'boolean', 'null'] },
    { type: 'array', items: { type: 'string', maxLength: ATTRIBUTE_TEXT_BYTES_MAX }, maxItems: ATTRIBUTE_LIST_ITEMS_MAX },
  ],
};

/** Body of `PUT /v1/subscribers/{external_id}`. Values of attributes are checked by `toSubscriberPatch`, which knows the declared types. */
export const subscriberPatchBodySchema = z
  .strictObject({
    attributes: z
      .record(
        z.string(),
        z.union([z.string(), z.number(), z.boolean(), z.array(z.string()), z.null()], {
          error: 'must be a string, a number, a boolean, a list of strings or null: objects are not kept',
        }),
      )
      .optional()
      .meta({
        description: 'Merged by name into the present attributes; null removes one.',
        propertyNames: ATTRIBUTE_NAME_JSON_SCHEMA,
        maxProperties: ATTRIBUTES_MAX,
        additionalProperties: ATTRIBUTE_VALUE_JSON_SCHEMA,
        examples: [{ plan: 'pro', seats: 12, trial_ends: null }],
      }),
    locale: z
      .string()
      .nullable()
      .optional()
      .meta({ description: 'BCP 47 language tag; null clears it.', examples: ['de-AT'] }),
    time_zone: z
      .string()
      .nullable()
      .optional()
      .meta({ description: 'IANA time zone; null clears it.', examples: ['Europe/Vienna'] }),
    unsubscribed: z
      .boolean()
      .optional()
      .meta({ description: 'True stops campaigns to this subscriber; single messages still arrive. False lets campaigns through again.' }),
  })
  .meta({ id: 'SubscriberPatch', description: 'A change of one subscriber: what is left out stays as it is.' });

/** Checks a change against the limits and the declared types, and brings its values into the form in which they are kept. */
export function toSubscriberPatch(input: SubscriberPatchInput, declared: DeclaredTypes): PatchOutcome {
  const faults: FieldFault[] = [];
  const idFault = externalIdFault(input.external_id);
  if (idFault !== undefined) faults.push({ pointer: '/external_id', code: 'external_id_invalid', message: idFault });
  const attributes = input.attributes === undefined ? undefined : toAttributes(input.attributes, declared, faults);
  const locale = typeof input.locale === 'string' ? canonicalLocale(input.locale) : input.locale;
  if (locale === undefined && input.locale !== undefined) {
    faults.push({ pointer: '/locale', code: 'locale_invalid', message: 'must be a BCP 47 language tag such as de-AT' });
  }
  if (typeof input.time_zone === 'string' && !isTimeZone(input.time_zone)) {
    faults.push({ pointer: '/time_zone', code: 'time_zone_invalid', message: 'must be an IANA time zone such as Europe/Vienna' });
  }
  const [first, ...others] = faults;
  if (first !== undefined) return { ok: false, faults: [first, ...others] };
  return {
    ok: true,
    patch: {
      externalId: input.external_id,
      ...(attributes === undefined ? {} : { attributes }),
      ...(locale === undefined ? {} : { locale }),
      ...(input.time_zone === undefined ? {} : { timeZone: input.time_zone }),
      ...(input.unsubscribed === undefined ? {} : { unsubscribed: input.unsubscribed }),
    },
  };
}

function toAttributes(
  input: Readonly<Record<string, unknown>>,
  declared: DeclaredTypes,
  faults: FieldFault[],
): Record<string, AttributeValue | null> {
  const names = Object.keys(input);
  const attributes: Record<string, AttributeValue | null> = {};
  if (names.length > ATTRIBUTES_MAX) {
    faults.push({ pointer: '/attributes', code: 'attributes_too_many', message: `must not have more than ${ATTRIBUTES_MAX} attributes` });
    return attributes;
  }
  let length = 0;
  for (const name of names) {
    const value = input[name];
    const nameFault = attributeNameFault(name);
    if (nameFault !== undefined) {
      faults.push({ pointer: pointerOf(name), code: 'attribute_name_invalid', message: `The attribute's name ${nameFault}` });
      continue;
    }
    const outcome = value === null ? REMOVED : toAttributeValue(value, declared.get(name));
    if (outcome.ok) {
      attributes[name] = outcome.value;
      length += name.length + lengthOf(outcome.value);
    } else {
      faults.push({ pointer: pointerOf(name), code: outcome.code, message: outcome.message });
    }
  }
  // Only what may be too large has to be measured exactly.
  if (
    length * JSON_BYTES_PER_UNIT_MAX > ATTRIBUTES_BYTES_MAX &&
    Buffer.byteLength(JSON.stringify(attributes), 'utf8') > ATTRIBUTES_BYTES_MAX
  ) {
    faults.push({ pointer: '/attributes', code: 'attributes_too_large', message: `must not be larger than ${ATTRIBUTES_BYTES_MAX} bytes` });
  }
  return attributes;
}

/** What a value takes in JSON, in characters, with its quotes and commas; escapes are left to `JSON_BYTES_PER_UNIT_MAX`. */
function lengthOf(value: AttributeValue | null): number {
  if (typeof value === 'string') return value.length + PUNCTUATION_LENGTH;
  if (Array.isArray(value))
    return value.reduce((length: number, item: string) => length + item.length + PUNCTUATION_LENGTH, PUNCTUATION_LENGTH);
  return NUMBER_LENGTH_MAX;
}

function pointerOf(name: string): string {
  return `/attributes/${escapePointer(name)}`;
}

/** One segment of a JSON pointer. @see https://www.rfc-editor.org/rfc/rfc6901#section-3 */
function escapePointer(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}
