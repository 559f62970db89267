import { createSecretKey, randomBytes } from 'node:crypto';
import { compactVerify } from 'jose';
import { isSubscriberId, parseTraits } from './claim.js';
import {
  type Proof,
  PROOF_SKEW_SECONDS,
  PROOF_SURFACES,
  type ProofEnvironment,
  type ProofGrade,
  type ProofRefused,
  type ProofSurface,
  TOKEN_ALGORITHMS,
  type TokenAlgorithm,
  type TokenKey,
  type Verdict,
} from './proof.js';
import { placeInTime } from './proof-time.js';
import { refuser } from './verify-hash.js';

/** Longest token that is looked at; everything longer is malformed unread. */
export const PROOF_TOKEN_LENGTH_MAX = 4_096;

const PART_PATTERN = /^[A-Za-z0-9_-]+$/;
const PARTS = 3;
/** Names that a token may give its key: no slash, no dots in a row, nothing that could be a path or a query. */
export const TOKEN_KEY_ID_PATTERN = /^(?!.*\.\.)[A-Za-z0-9._~-]{1,128}$/;
/** Header members that would let the token choose its own key, or ask for processing that we do not do. */
const HEADER_MEMBERS_REFUSED = ['jku', 'jwk', 'x5u', 'x5c', 'x5t', 'x5t#S256', 'crit', 'b64', 'zip', 'enc'] as const;
/** Nobody knows it: with it an environment without keys takes as long as one with a key. */
const DECOY: TokenKey = { algorithm: 'HS256', key: createSecretKey(randomBytes(32)) };

/** Refuses what is not UTF-8, and leaves a byte order mark to the JSON parser, which refuses it. */
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const refuse = refuser('subscriber');

/** True for a name that a token may give its key. */
export function isTokenKeyId(text: string): boolean {
  return TOKEN_KEY_ID_PATTERN.test(text);
}

/**
 * Verifies a signed token (JWS compact serialisation, RFC 7515 and 7519). Its algorithm is the one of our key: what the header says must
 * equal it and chooses nothing. Nothing of the claims is believed before the signature holds.
 */
export async function verifyToken(
  environment: ProofEnvironment,
  proof: Proof & { kind: 'subscriber' },
  nowSeconds: number,
): Promise<Verdict> {
  if (proof.id !== undefined && typeof proof.id !== 'string') return refuse('id_not_string');
  if (proof.id !== undefined && !isSubscriberId(proof.id)) return refuse('id_invalid');
  const parsed = parseToken(proof.token);
  if ('reason' in parsed) return parsed;
  const keys = environment.tokenKeys.filter((key) => parsed.keyId === undefined || key.kid === parsed.keyId);
  if (keys.length > 0 && keys.every(({ algorithm }) => algorithm !== parsed.algorithm)) {
    return refuse('alg_not_allowed', 'The algorithm of the token is not that of its key.');
  }
  const match = await findSigner(parsed.token, keys);
  return match === undefined ? refuse('mismatch') : judgeClaims(match, { environment, claimedId: proof.id, nowSeconds });
}

/** A token whose form was found good. */
interface ParsedToken {
  readonly token: string;
  readonly algorithm: TokenAlgorithm;
  readonly keyId?: string;
}

/** The claims of a token whose signature holds. */
interface SignedClaims {
  readonly keyId: string;
  readonly claims: Readonly<Record<string, unknown>>;
}

function parseToken(token: unknown): ParsedToken | ProofRefused {
  if (typeof token !== 'string' || token.length > PROOF_TOKEN_LENGTH_MAX)
    return refuse('malformed', 'The token must be a text of bounded length.');
  const parts = token.split('.');
  const [headerText = ''] = parts;
  if (parts.length !== PARTS || !parts.every((part) => isCanonicalBase64Url(part))) {
    // The signature of an unsecured token is empty.
    const isUnsecured = parts.length === PARTS && parts[PARTS - 1] === '' && parseObject(headerText)?.['alg'] === 'none';
    if (isUnsecured) return refuse('alg_not_allowed', 'Unsecured tokens are refused.');
    return refuse('malformed', 'The token must be a JWT: three base64url parts.');
  }
  const header = parseObject(headerText);
  if (header === undefined) return refuse('malformed', 'The header of the token must be a JSON object.');
  const refused = HEADER_MEMBERS_REFUSED.find((member) => Object.hasOwn(header, member));
  if (refused !== undefined) return refuse('malformed', `The header of the token must not have "${refused}".`);
  const { alg, kid } = header;
  const algorithm = TOKEN_ALGORITHMS.find((known) => known === alg);
  if (algorithm === undefined) return refuse('alg_not_allowed', `The algorithm must be one of ${TOKEN_ALGORITHMS.join(', ')}.`);
  if (kid === undefined) return { token, algorithm };
  if (typeof kid !== 'string' || !isTokenKeyId(kid)) return refuse('malformed', 'The "kid" of the token must be a plain name.');
  return { token, algorithm, keyId: kid };
}

async function findSigner(token: string, keys: readonly TokenKey[]): Promise<SignedClaims | undefined> {
  let found: SignedClaims | undefined;
  for (const { id: keyId, algorithm, key } of keys.length === 0 ? [DECOY] : keys) {
    const payload = await openToken(token, algorithm, key);
    if (payload !== undefined && keyId !== undefined) found = { keyId, claims: payload };
  }
  return found;
}

/** The claims of a token that this key signed; `undefined` for every other. */
async function openToken(token: string, algorithm: TokenAlgorithm, key: TokenKey['key']): Promise<Record<string, unknown> | undefined> {
  try {
    const { payload } = await compactVerify(token, key, { algorithms: [algorithm] });
    return parseObject(Buffer.from(payload).toString('base64url')) ?? {};
  } catch {
    return undefined;
  }
}

function judgeClaims(
  { keyId, claims }: SignedClaims,
  { environment, claimedId, nowSeconds }: { environment: ProofEnvironment; claimedId: string | undefined; nowSeconds: number },
): Verdict {
  const { sub, iss, exp, nbf, iat } = claims;
  const refuseSigned = (...facts: Parameters<typeof refuse>): ProofRefused => ({ ...refuse(...facts), keyId });
  if (typeof sub !== 'string') return refuseSigned('id_not_string', 'The "sub" of the token must be a string.');
  if (!isSubscriberId(sub)) return refuseSigned('id_invalid');
  if (claimedId !== undefined && claimedId !== sub) return refuseSigned('mismatch');
  if (iss !== environment.publicKey)
    return refuseSigned('tenant_mismatch', 'The "iss" of the token must be the public key of the environment.');
  const surfaces = surfacesOf(claims['aud']);
  if (surfaces.length === 0)
    return refuseSigned('scope_missing', `The "aud" of the token must name surfaces: ${PROOF_SURFACES.join(', ')}.`);
  if (!isTime(exp)) return refuseSigned('malformed', 'The token must have "exp".');
  if (!isOptionalTime(nbf) || !isOptionalTime(iat)) return refuseSigned('malformed', 'The times of the token must be numbers of seconds.');
  const traits = parseTraits(claims['traits']);
  if (traits === undefined) return refuseSigned('malformed', 'The "traits" of the token must be a JSON object.');
  if (nowSeconds - exp >= PROOF_SKEW_SECONDS) return refuseSigned('expired');
  if (Math.max(nbf ?? 0, iat ?? 0) - nowSeconds > PROOF_SKEW_SECONDS) return refuseSigned('not_yet_valid');
  const grade = gradeOf(iat, traits.object !== undefined, nowSeconds);
  return {
    valid: true,
    reason: 'valid',
    kind: 'subscriber',
    id: sub,
    grade,
    form: 'token',
    keyId,
    timestampUnsigned: false,
    surfaces,
    ...(iat === undefined ? {} : { issuedAtSeconds: Math.floor(iat) }),
    ...(grade === 'traits' && traits.object !== undefined ? { traits: traits.object } : {}),
  };
}

/** A token without `iat`, or from longer ago than a fresh proof may be, is worth no more than a hash that never expires. */
function gradeOf(iat: number | undefined, hasTraits: boolean, nowSeconds: number): ProofGrade {
  if (iat === undefined || placeInTime(iat, nowSeconds) !== 'now') return 'static';
  return hasTraits ? 'traits' : 'fresh';
}

function surfacesOf(aud: unknown): ProofSurface[] {
  const named: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
  return PROOF_SURFACES.filter((surface) => named.includes(surface));
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

function isOptionalTime(value: unknown): value is number | undefined {
  return value === undefined || isTime(value);
}

/** One text for its bytes: an altered last character would otherwise make a second token of the same signature. */
function isCanonicalBase64Url(text: string): boolean {
  return PART_PATTERN.test(text) && Buffer.from(text, 'base64url').toString('base64url') === text;
}

function parseObject(base64url: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(UTF8.decode(Buffer.from(base64url, 'base64url')));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
