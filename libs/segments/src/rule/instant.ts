import type { RelativeTime } from './rule.js';

const MS_PER_HOUR = 3_600_000;
const MS_PER_DAY = 24 * MS_PER_HOUR;
const MS_PER_MINUTE = 60_000;

/**
 * Texts that are dates in a rule's sense: real calendar days of the years 1 to 9999, alone or with a time of day, at most six decimals and
 * an offset. The same expression, in the syntax that JavaScript and Postgres share, guards the cast in `segments.instant_of` of the
 * segments migration; an integration test compares the two.
 */
export const INSTANT_PATTERN =
  '^(?!0000)' +
  '([0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))' +
  '|([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)' +
  '(T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9]))?$';

const INSTANT = new RegExp(INSTANT_PATTERN);
const DATE_LENGTH = 10;
const TIME_LENGTH = 8;

/** Milliseconds since 1970 of a text in RFC 3339 form (a date alone begins at midnight UTC); `undefined` when it is none. */
export function instantOf(text: string): number | undefined {
  if (!INSTANT.test(text)) return undefined;
  const date = text.slice(0, DATE_LENGTH);
  if (text.length === DATE_LENGTH) return Date.parse(`${date}T00:00:00Z`);
  const time = text.slice(DATE_LENGTH + 1, DATE_LENGTH + 1 + TIME_LENGTH);
  const rest = text.slice(DATE_LENGTH + 1 + TIME_LENGTH);
  const offset = rest.endsWith('Z') ? 'Z' : rest.slice(-6);
  const decimals = rest.slice(1, rest.length - offset.length).slice(0, 3);
  return Date.parse(`${date}T${time}.${decimals.padEnd(3, '0')}Z`) - offsetMs(offset);
}

/** From (included) and to (excluded) of what a date in a condition names: a whole day, or one millisecond. */
export function spanOf(text: string): { readonly fromMs: number; readonly toMs: number } {
  const fromMs = instantOf(text);
  if (fromMs === undefined) throw new RangeError('The rule was not parsed by ruleSchema: its date is none');
  return { fromMs, toMs: fromMs + (text.length === DATE_LENGTH ? MS_PER_DAY : 1) };
}

/** A relative time in milliseconds. */
export function durationMs(time: RelativeTime): number {
  return time.amount * (time.unit === 'days' ? MS_PER_DAY : MS_PER_HOUR);
}

function offsetMs(offset: string): number {
  if (offset === 'Z') return 0;
  const minutes = Number(offset.slice(1, 3)) * 60 + Number(offset.slice(4, 6));
  return (offset.startsWith('-') ? -1 : 1) * minutes * MS_PER_MINUTE;
}
