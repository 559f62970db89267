import type { Environment, EnvironmentKind } from './environment.js';

/** Origins of one environment. */
export const ALLOWED_ORIGINS_MAX = 100;

/** Longer than any origin that a browser sends: a scheme, a DNS name of 253 characters, a port. */
export const ORIGIN_LENGTH_MAX = 300;

/** The form of an origin for the OpenAPI document; a parser has the last word. */
export const ORIGIN_FORM = '^https?://([a-z0-9._-]+|\\[[0-9a-f:.]+\\])(:[0-9]{1,5})?$';

const LOOPBACK_HOSTS: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]']);

/**
 * Why a text cannot stand in `allowed_origins`; `undefined` when it can. It must be exactly what a browser sends as `Origin`: scheme,
 * host and port in canonical form, no path, no wildcard. Production pages must be https, except on the loopback host.
 */
export function originFault(text: string, kind: EnvironmentKind): string | undefined {
  const url = parseOrigin(text);
  if (url === undefined) return 'must be an origin such as https://app.example.com: no path, no wildcard, lower case, no default port';
  if (kind === 'production' && url.protocol !== 'https:' && !isLoopback(url)) return 'must be https in a production environment';
  return undefined;
}

/**
 * May a page of this origin act for the environment? Listed origins may. In development so may every page of the developer's own
 * machine, because its port changes with each tool.
 */
export function isOriginAllowed(environment: Pick<Environment, 'kind' | 'allowedOrigins'>, origin: string): boolean {
  return environment.allowedOrigins.includes(origin) || (environment.kind === 'development' && isLoopbackOrigin(origin));
}

/** True for `http(s)://localhost`, `127.0.0.1` or `[::1]` on any port. */
export function isLoopbackOrigin(origin: string): boolean {
  const url = parseOrigin(origin);
  return url !== undefined && isLoopback(url);
}

function parseOrigin(text: string): URL | undefined {
  if (text.length > ORIGIN_LENGTH_MAX || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  return (url.protocol === 'https:' || url.protocol === 'http:') && url.origin === text && !text.includes('*') ? url : undefined;
}

function isLoopback(url: URL): boolean {
  return LOOPBACK_HOSTS.has(url.hostname);
}
