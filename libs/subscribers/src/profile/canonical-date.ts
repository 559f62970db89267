const DATE = /^(\d{4})-(\d{2})-(\d{2})$/;
const TIMESTAMP = /^(\d{4}-\d{2}-\d{2})[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?(Z|z|[+-]\d{2}:?\d{2})?$/;
const MS_PER_MINUTE = 60_000;
const OFFSET_HOURS_MAX = 14;

/**
 * The stored form of a date: `2026-05-31` for a calendar date, `2026-05-31T10:00:00.000Z` for a point in time (to the millisecond, in UTC).
 * Reads ISO 8601 dates and timestamps, with a blank in place of the T and without seconds too; a timestamp without an offset is in UTC.
 * `undefined` for everything else, days that no calendar has included.
 */
export function canonicalDate(text: string): string | undefined {
  const date = DATE.exec(text);
  if (date !== null) return isCalendarDate(Number(date[1]), Number(date[2]), Number(date[3])) ? text : undefined;
  const match = TIMESTAMP.exec(text);
  if (match === null) return undefined;
  const [, day = '', hours = '', minutes = '', seconds = '0', fraction = '', offset = 'Z'] = match;
  const offsetMinutes = parseOffset(offset);
  if (canonicalDate(day) === undefined || offsetMinutes === undefined) return undefined;
  if (Number(hours) > 23 || Number(minutes) > 59 || Number(seconds) > 59) return undefined;
  const wallClockMs = Date.parse(`${day}T${hours}:${minutes}:${seconds.padStart(2, '0')}.${fraction.slice(0, 3).padEnd(3, '0')}Z`);
  const instant = new Date(wallClockMs - offsetMinutes * MS_PER_MINUTE);
  // An offset can carry the first and last day of the four-digit years out of them.
  const year = instant.getUTCFullYear();
  return year >= 1 && year <= 9_999 ? instant.toISOString() : undefined;
}

function isCalendarDate(year: number, month: number, day: number): boolean {
  if (year < 1 || month < 1 || month > 12 || day < 1) return false;
  const isLeapYear = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  const daysOfMonth = [31, isLeapYear ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
  return day <= (daysOfMonth[month - 1] ?? 0);
}

/** Minutes east of UTC. */
function parseOffset(text: string): number | undefined {
  if (text === 'Z' || text === 'z') return 0;
  const digits = text.slice(1).replace(':', '');
  const hours = Number(digits.slice(0, 2));
  const minutes = Number(digits.slice(2));
  if (hours > OFFSET_HOURS_MAX || minutes > 59) return undefined;
  return (text.startsWith('-') ? -1 : 1) * (hours * 60 + minutes);
}
