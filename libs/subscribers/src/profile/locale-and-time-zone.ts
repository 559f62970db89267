/** A BCP 47 language tag is never longer here: the longest registered ones have some 40 characters. */
const LOCALE_LENGTH_MAX = 64;
const TIME_ZONE_LENGTH_MAX = 64;

const knownTimeZones = new Map<string, boolean>();
/** Names that `isTimeZone` remembers; there are about 600 IANA names, and each may be written in many cases. */
const TIME_ZONES_REMEMBERED_MAX = 2_000;

/**
 * The canonical form of a BCP 47 language tag (`de-at` becomes `de-AT`); `undefined` when the text is none.
 *
 * @see https://www.rfc-editor.org/rfc/rfc5646
 */
export function canonicalLocale(text: string): string | undefined {
  if (text.length > LOCALE_LENGTH_MAX) return undefined;
  try {
    return Intl.getCanonicalLocales(text)[0];
  } catch {
    return undefined;
  }
}

/** True for an IANA time zone name (`Europe/Berlin`, `UTC`). Offsets such as `+02:00` are none: they know no daylight saving time. */
export function isTimeZone(text: string): boolean {
  if (text.length > TIME_ZONE_LENGTH_MAX || !/^[A-Za-z]/.test(text)) return false;
  const known = knownTimeZones.get(text);
  if (known !== undefined) return known;
  const valid = acceptsTimeZone(text);
  if (knownTimeZones.size < TIME_ZONES_REMEMBERED_MAX) knownTimeZones.set(text, valid);
  return valid;
}

function acceptsTimeZone(text: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: text }).format(0);
    return true;
  } catch {
    return false;
  }
}
