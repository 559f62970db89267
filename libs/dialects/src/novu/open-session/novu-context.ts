import { createHash } from 'node:crypto';
import { z } from 'zod';
import { textSchema } from '#http';
import { olpcJson } from './olpc-json.js';

/** Types that one context may have. */
const CONTEXT_TYPES_MAX = 20;
const CONTEXT_TEXT_CHARACTERS_MAX = 255;

const contextText = textSchema({ min: 1, max: CONTEXT_TEXT_CHARACTERS_MAX });

/** The context of a session, as its clients send it: a type to the id of what it stands for, with or without data. */
export const novuContextSchema = z
  .record(contextText, z.union([contextText, z.looseObject({ id: contextText })]))
  .refine((context) => Object.keys(context).length <= CONTEXT_TYPES_MAX, `must not have more than ${CONTEXT_TYPES_MAX} types`)
  .refine((context) => olpcJson(context) !== undefined, 'must have a canonical form: no fractions, at most 32 levels')
  .meta({ id: 'NovuContext', description: 'Types to ids, or to objects with an id and data: `{"tenant": "acme"}`.' });

type NovuContext = z.infer<typeof novuContextSchema>;

/** The text that `contextHash` is made over: the whole context with its data, in whatever order its members came. */
export function canonicalContext(context: NovuContext): string {
  const text = olpcJson(context);
  if (text === undefined) throw new TypeError('the context has no canonical form; its schema refuses such');
  return text;
}

/** `type:id` of each, sorted. Data say nothing about which messages belong to a context. */
export function contextKeysOf(context: NovuContext): string[] {
  return Object.entries(context)
    .map(([type, value]) => `${type}:${typeof value === 'string' ? value : value.id}`)
    .sort();
}

/** What a session keeps of its context: equal for equal keys; `undefined` for a context without any. */
export function contextDigestOf(keys: readonly string[]): string | undefined {
  return keys.length === 0 ? undefined : createHash('sha256').update(JSON.stringify(keys), 'utf8').digest('base64url');
}
