/** Push services by operator: each has its own delivery lane. */
export const PUSH_VENDORS = ['fcm', 'mozilla', 'apple', 'wns', 'other'] as const;

export type PushVendor = (typeof PUSH_VENDORS)[number];

/** A push endpoint that passed the allow-list, in its one canonical form. */
export interface PushEndpoint {
  /** As `new URL` writes it; path and query stay byte for byte, they are the device's token. */
  readonly href: string;
  /** Audience of the VAPID token. */
  readonly origin: string;
  readonly vendor: PushVendor;
}

/** Longest endpoint that is stored; real ones are below 1,000 characters. */
export const ENDPOINT_CHARACTERS_MAX = 2_048;

/** Hosts of the push services (their documentation and what browsers hand out); a leading dot admits subdomains. */
const HOSTS: readonly (readonly [host: string, vendor: PushVendor])[] = [
  ['fcm.googleapis.com', 'fcm'],
  ['jmt17.google.com', 'fcm'],
  ['.push.services.mozilla.com', 'mozilla'],
  ['.push.apple.com', 'apple'],
  ['.notify.windows.com', 'wns'],
];

/**
 * Reads an endpoint that a browser handed over. Only https on the default port of a known push service passes, or an origin that the
 * operator listed: everything else could make the sender call any address (SSRF). Parsed once; the sender uses `href` only.
 *
 * @param extraOrigins further origins, exact, e.g. a push service of one's own; these may have a port
 * @returns undefined when the endpoint is not acceptable
 */
export function parseEndpoint(text: string, extraOrigins: ReadonlyMap<string, PushVendor>): PushEndpoint | undefined {
  if (text.length > ENDPOINT_CHARACTERS_MAX || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  if (url.username !== '' || url.password !== '' || url.hash !== '') return undefined;
  const extra = extraOrigins.get(url.origin);
  if (extra !== undefined) return { href: url.href, origin: url.origin, vendor: extra };
  if (url.protocol !== 'https:' || url.port !== '') return undefined;
  const known = HOSTS.find(([host]) => (host.startsWith('.') ? url.hostname.endsWith(host) : url.hostname === host));
  return known === undefined ? undefined : { href: url.href, origin: url.origin, vendor: known[1] };
}
