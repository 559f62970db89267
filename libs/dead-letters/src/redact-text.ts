import { isForbiddenName, REDACTED } from '#telemetry';

/** A member of a JSON text that may be cut off in the middle: its name, and its text value as far as it goes. */
const NAMED_TEXT = /"([^"\\]{1,64})"(\s*:\s*)"(?:[^"\\]|\\.)*"?/g;
/** API keys and identity secrets. */
const KEY_TEXT = /\b(?:sk|isk)_(?:live|test)_[0-9A-Za-z]+/g;
const JWT = /\beyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?/g;
const CREDENTIALS = /\b(Bearer|Basic)\s+[\w.~+/=-]{8,}/gi;
/** A URL: user and password, and everything behind the host. Push endpoints and signed links are secrets. */
const URL_TEXT = /\b([a-z][a-z0-9+.-]{0,19}:\/\/)(?:[^\s/@"'<>]*@)?([^\s/?#@"'<>]+)[^\s"'<>]*/gi;

/** Hides what a text may hold of secrets: members with the name of one, keys, tokens, credentials, and all of a URL but its host. */
export function redactText(text: string): string {
  return text
    .replace(NAMED_TEXT, (member: string, name: string, colon: string) =>
      isForbiddenName(name) ? `"${name}"${colon}"${REDACTED}"` : member,
    )
    .replace(URL_TEXT, (url: string, scheme: string, host: string) => (url === scheme + host ? url : `${scheme}${host}/${REDACTED}`))
    .replace(CREDENTIALS, `$1 ${REDACTED}`)
    .replace(KEY_TEXT, REDACTED)
    .replace(JWT, REDACTED);
}
