import { EXTERNAL_ID_BYTES_MAX, externalIdFault } from '#subscribers';
import { canonicalJson } from './canonical-json.js';

/** Longest context in characters. */
export const CONTEXT_LENGTH_MAX = 16_384;

/** Longest canonical text of traits in characters. */
export const TRAITS_LENGTH_MAX = 16_384;

/**
 * True for the ids that a subscriber or a company may have: 1 to 255 UTF-8 bytes without control characters and lone surrogates. Node
 * hashes every lone surrogate as U+FFFD, so two such ids would share one MAC. The length in UTF-16 units is looked at first: it costs
 * nothing.
 */
export function isSubscriberId(text: string): boolean {
  return text.length <= EXTERNAL_ID_BYTES_MAX && externalIdFault(text) === undefined;
}

/** True for a text that is a JSON object: as a plain id it could be the context of somebody else. */
export function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value);
  } catch {
    return false;
  }
}

// oxlint-disable-next-line no-control-regex
const CONTROL_CHARACTERS = /[\u0000-\u001f]/g;

/** A JSON object in short enough text, without lone surrogates. Some canonical forms leave control characters in texts as they are. */
export function isContextText(text: string): boolean {
  if (text.length > CONTEXT_LENGTH_MAX || /\p{Surrogate}/u.test(text)) return false;
  return isJsonObject(text.replaceAll(CONTROL_CHARACTERS, ' '));
}

/** Traits as they were sent: none, an object with its canonical text, or something that cannot be signed. */
export type ParsedTraits =
  | { readonly object?: undefined; readonly text?: undefined }
  | { readonly object: Record<string, unknown>; readonly text: string }
  | undefined;

/** Reads traits; `undefined` for anything but an object with a canonical form of bounded length. */
export function parseTraits(traits: unknown): ParsedTraits {
  if (traits === undefined || traits === null) return {};
  if (!isObject(traits)) return undefined;
  const text = canonicalJson(traits, TRAITS_LENGTH_MAX);
  return text === undefined ? undefined : { object: traits, text };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
