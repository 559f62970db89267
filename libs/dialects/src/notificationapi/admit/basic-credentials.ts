import { isUtf8 } from 'node:buffer';
import { IdentityMalformedError, IdentityMismatchError, IdentityMissingError } from '#identity';

/** Characters of the longest header that is looked at: a key, an id of 255 bytes and a hash take about 600. */
const HEADER_LENGTH_MAX = 4_096;

const BASIC = /^Basic +([A-Za-z0-9+/]+={0,2}) *$/i;

/** Whom the path of a request names. */
export interface NamedUser {
  /** The environment's public key. */
  readonly clientId: string;
  readonly userId: string;
}

/**
 * The hash in `Authorization: Basic base64(clientId:userId[:hash])`, which has to name the client and the user of the path. An id may have
 * colons in it: it lies between the first and the last one, and without a hash the path alone tells where it ends. Clients that have no
 * hash send `clientId:userId` or `clientId:userId:`.
 *
 * @returns `undefined` where no hash was sent
 * @throws IdentityMissingError, IdentityMalformedError, IdentityMismatchError
 */
export function readBasicHash(authorization: string | undefined, { clientId, userId }: NamedUser): string | undefined {
  if (authorization === undefined || authorization === '') throw new IdentityMissingError();
  const encoded = authorization.length > HEADER_LENGTH_MAX ? undefined : BASIC.exec(authorization)?.[1];
  if (encoded === undefined) throw new IdentityMalformedError('The header must be "Basic" and the base64 of clientId:userId:hashedUserId.');
  const text = decodeCredentials(Buffer.from(encoded, 'base64'));
  if (!text.startsWith(`${clientId}:`)) throw new IdentityMismatchError();
  const rest = text.slice(clientId.length + 1);
  if (rest === userId) return undefined;
  const end = rest.lastIndexOf(':');
  if (end === -1 || rest.slice(0, end) !== userId) throw new IdentityMismatchError();
  const hash = rest.slice(end + 1);
  return hash === '' ? undefined : hash;
}

/** UTF-8 as servers send it (RFC 7617 section 2.1); where it is none, the Latin-1 that `btoa` in a browser makes. */
function decodeCredentials(bytes: Buffer): string {
  return bytes.toString(isUtf8(bytes) ? 'utf8' : 'latin1');
}
