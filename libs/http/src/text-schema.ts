import { z } from 'zod';

/** Bounds of a text in characters (UTF-16 code units), both included. */
export interface TextBounds {
  readonly min?: number;
  readonly max: number;
}

/**
 * Schema of a text that Postgres and UTF-8 can hold: no NUL byte, no lone surrogate. Use it for every free text of a request;
 * a plain `z.string()` lets `\u0000` through, which is a 5xx at the insert.
 */
export function textSchema(bounds: TextBounds): z.ZodString {
  return z
    .string()
    .min(bounds.min ?? 0)
    .max(bounds.max)
    .refine(isStorableText, { error: 'must not contain NUL characters or lone surrogates' });
}

/** True when a text has neither NUL characters nor lone surrogates (with the `u` flag a paired surrogate is one code point). */
export function isStorableText(text: string): boolean {
  return !/[\0\p{Surrogate}]/u.test(text);
}
