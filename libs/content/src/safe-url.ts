/** Length limit of a URL in characters, before and after rendering. */
export const URL_CHARACTERS_MAX = 2_000;

const LOCAL_HOSTS: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]']);
const SAME_SITE_ORIGIN = 'https://same-site.invalid';
/** Characters that URL parsers drop or reinterpret: what people read would differ from where browsers go. */
// oxlint-disable-next-line no-control-regex
const DECEPTIVE_CHARACTERS = /[\u0000-\u0020\u007f\\]/;

/** The forms of a safe URL for the OpenAPI document; a parser has the last word on each. */
export const SAFE_URL_FORMS = [
  { pattern: '^https://[^\\u0000-\\u0020\\u007f\\\\@]+$' },
  { pattern: '^http://(localhost|127\\.0\\.0\\.1|\\[::1\\])([:/?#][^\\u0000-\\u0020\\u007f\\\\@]*)?$' },
  { pattern: '^/([^/\\u0000-\\u0020\\u007f\\\\][^\\u0000-\\u0020\\u007f\\\\]*)?$' },
] as const;

/**
 * True when a browser may follow the URL: https, http only to this machine, or a path on the same site. Everything else (javascript:,
 * data:, protocol-relative, credentials in the authority, white space, backslashes) is refused.
 *
 * @see https://url.spec.whatwg.org/#concept-basic-url-parser where tabs and newlines are dropped and backslashes become slashes
 */
export function isSafeUrl(text: string): boolean {
  if (text.length === 0 || text.length > URL_CHARACTERS_MAX || DECEPTIVE_CHARACTERS.test(text)) return false;
  if (text.startsWith('/')) return isSameSitePath(text);
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') return false;
  return url.protocol === 'https:' || (url.protocol === 'http:' && LOCAL_HOSTS.has(url.hostname));
}

function isSameSitePath(text: string): boolean {
  return URL.canParse(text, SAME_SITE_ORIGIN) && new URL(text, SAME_SITE_ORIGIN).origin === SAME_SITE_ORIGIN;
}
