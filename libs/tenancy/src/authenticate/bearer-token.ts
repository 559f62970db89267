/** Longest Authorization header that is looked at. */
export const AUTHORIZATION_LENGTH_MAX = 4_200;

const BEARER_PATTERN = /^Bearer +([^\s]+)$/i;

/**
 * The token of an `Authorization: Bearer` header (RFC 6750 section 2.1); `undefined` for every other scheme, several tokens, or a
 * header that is too long. Tokens are never taken from the URL.
 */
export function bearerTokenOf(authorization: string | undefined): string | undefined {
  if (authorization === undefined || authorization.length > AUTHORIZATION_LENGTH_MAX) return undefined;
  return BEARER_PATTERN.exec(authorization)?.[1];
}
