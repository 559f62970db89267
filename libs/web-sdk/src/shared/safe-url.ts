const LOCAL_HOSTS: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]']);

/** Characters that URL parsers drop or reinterpret: what people read would differ from where the browser goes. */
// oxlint-disable-next-line no-control-regex
const DECEPTIVE_CHARACTERS = /[\u0000-\u0020\u007f\\]/;

/**
 * The whole URL of a place that a message may lead to: https, http only to this machine, or a path on `base`'s own site. The gateway lets
 * nothing else through; a page and a worker ask again, because they also read what others wrote into their storage.
 *
 * @param base the URL of the page or of the worker's scope
 * @returns undefined when the place is not safe
 */
export function resolveSafeUrl(place: unknown, base: string): string | undefined {
  if (typeof place !== 'string' || place === '' || DECEPTIVE_CHARACTERS.test(place)) return undefined;
  const isPath = place.startsWith('/');
  const url = parseUrl(place, isPath ? base : undefined);
  if (url === undefined || url.username !== '' || url.password !== '') return undefined;
  if (isPath) return url.origin === new URL(base).origin ? url.href : undefined;
  const isSafe = url.protocol === 'https:' || (url.protocol === 'http:' && LOCAL_HOSTS.has(url.hostname));
  return isSafe ? url.href : undefined;
}

/** `URL.canParse` is younger than the browsers that are served. */
function parseUrl(text: string, base: string | undefined): URL | undefined {
  try {
    return new URL(text, base);
  } catch {
    return undefined;
  }
}
