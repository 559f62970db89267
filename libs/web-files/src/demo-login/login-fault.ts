import type { IncomingHttpHeaders } from 'node:http';
import { isIPv4 } from 'node:net';
import { isLoopbackOrigin } from '#tenancy';

/** What of a request tells who makes it. */
export interface LoginRequest {
  readonly headers: IncomingHttpHeaders;
  /** `host[:port]` that the request names. */
  readonly host: string;
  /** Of the socket's other end. */
  readonly address: string;
}

/** Headers by which proxies tell for whom they ask: then the other end of the socket is not the person. */
const PROXY_HEADERS = ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip'] as const;

/**
 * Why a request may not use the demo's login; undefined when it may. It must come from this machine, to a loopback name (a foreign name
 * that resolves to this machine is DNS rebinding), from a page of that very name, and through no proxy.
 */
export function loginFault({ headers, host, address }: LoginRequest): string | undefined {
  if (!isLoopbackAddress(address)) return 'the request does not come from this machine';
  if (!isLoopbackOrigin(`http://${host}`)) return 'the request does not name a loopback address';
  if (PROXY_HEADERS.some((name) => headers[name] !== undefined)) return 'the request came through a proxy';
  const { origin } = headers;
  if (origin !== undefined && origin !== `http://${host}`) return 'the request comes from a page of another site';
  return undefined;
}

function isLoopbackAddress(address: string): boolean {
  const plain = address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address;
  return plain === '::1' || (isIPv4(plain) && plain.startsWith('127.'));
}
