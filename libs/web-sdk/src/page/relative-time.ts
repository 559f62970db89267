const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const WEEK_MS = 7 * DAY_MS;

/** "5 minutes ago", "yesterday"; a date when it is long ago. Clocks differ a little: the near future is now. */
export function relativeTime(at: Date, now: Date, locale?: string): string {
  const ageMs = now.getTime() - at.getTime();
  const words = new Intl.RelativeTimeFormat(locale, { numeric: 'auto' });
  if (ageMs < MINUTE_MS) return words.format(0, 'second');
  if (ageMs < HOUR_MS) return words.format(-Math.floor(ageMs / MINUTE_MS), 'minute');
  if (ageMs < DAY_MS) return words.format(-Math.floor(ageMs / HOUR_MS), 'hour');
  if (ageMs < WEEK_MS) return words.format(-daysBetween(at, now), 'day');
  return at.toLocaleDateString(locale, {
    day: 'numeric',
    month: 'short',
    ...(at.getFullYear() !== now.getFullYear() && { year: 'numeric' }),
  });
}

/** The whole time, for those who want to know exactly. */
export function fullTime(at: Date, locale?: string): string {
  return at.toLocaleString(locale, { dateStyle: 'full', timeStyle: 'short' });
}

/** "Today", "Yesterday", "Monday", or a date: the heading over the messages of one day. */
export function dayName(at: Date, now: Date, locale?: string): string {
  const days = daysBetween(at, now);
  if (days <= 1) {
    const word = new Intl.RelativeTimeFormat(locale, { numeric: 'auto' }).format(-Math.max(days, 0), 'day');
    return word.charAt(0).toLocaleUpperCase(locale) + word.slice(1);
  }
  if (days < 7) return at.toLocaleDateString(locale, { weekday: 'long' });
  return at.toLocaleDateString(locale, {
    day: 'numeric',
    month: 'long',
    ...(at.getFullYear() !== now.getFullYear() && { year: 'numeric' }),
  });
}

/** Midnights between two instants, by the device's calendar; days of 23 and 25 hours count as one. */
function daysBetween(at: Date, now: Date): number {
  const midnight = (date: Date): number => new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
  return Math.round((midnight(now) - midnight(at)) / DAY_MS);
}
