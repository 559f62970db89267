import { z } from 'zod';
import { EXTERNAL_ID_BYTES_MAX } from '../subscribers.limits.js';

/** C0 and C1 controls and DEL. */
// oxlint-disable-next-line no-control-regex
const CONTROL_CHARACTERS = /[\u0000-\u001f\u007f-\u009f]/;

/** What is wrong with a text as an external id; `undefined` when it is one. */
export function externalIdFault(text: string): string | undefined {
  if (text === '') return 'must not be empty';
  if (/\p{Surrogate}/u.test(text)) return 'must not contain lone surrogates';
  if (CONTROL_CHARACTERS.test(text)) return 'must not contain control characters';
  if (Buffer.byteLength(text, 'utf8') > EXTERNAL_ID_BYTES_MAX) return `must not be longer than ${EXTERNAL_ID_BYTES_MAX} bytes in UTF-8`;
  return undefined;
}

/** The form of an external id for the OpenAPI document, where a length is one of characters. */
export const EXTERNAL_ID_JSON_SCHEMA = {
  type: 'string',
  minLength: 1,
  maxLength: EXTERNAL_ID_BYTES_MAX,
  pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f]*$',
} as const;

/**
 * The customer's own id of a person: 1 to 255 bytes of UTF-8 without control characters. It is compared byte for byte: never trimmed,
 * never folded, never normalised, because the proofs of identity are made over exactly these bytes.
 */
export const externalIdSchema = z
  .string()
  .superRefine((text, context) => {
    const fault = externalIdFault(text);
    if (fault !== undefined) context.addIssue({ code: 'custom', message: fault });
  })
  .meta({
    description: `The customer's own id of the subscriber: 1 to ${EXTERNAL_ID_BYTES_MAX} bytes of UTF-8 without control characters, compared byte for byte.`,
    examples: ['customer-4711'],
    ...EXTERNAL_ID_JSON_SCHEMA,
  });
