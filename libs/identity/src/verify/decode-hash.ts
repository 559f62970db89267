/** Longest text that is looked at as a hash; everything longer is malformed unread. */
export const PROOF_HASH_LENGTH_MAX = 128;

const HASH_BYTES = 32;
const PREFIX = 'sha256=';
const HEX_PATTERN = /^[0-9a-fA-F]{64}$/;
const BASE64_PATTERN = /^[0-9A-Za-z+/]{43}=?$/;
const BASE64URL_PATTERN = /^[0-9A-Za-z_-]{43}=?$/;
/** What some base64 encoders and template engines leave around a hash. */
const SURROUNDING_SPACE = /^[\t\n\v\f\r ]+|[\t\n\v\f\r ]+$/g;

/**
 * The 32 bytes behind a hash in text form: hex in any case, base64 or base64url with or without padding, after an optional `sha256=`,
 * ASCII space around it ignored. `undefined` unless the text is the one canonical spelling of its bytes in its alphabet: `Buffer.from`
 * skips what it does not know and drops surplus bits, hence the patterns before it and the encoding back after it.
 */
export function decodeProofHash(text: string): Buffer | undefined {
  if (text.length > PROOF_HASH_LENGTH_MAX) return undefined;
  const trimmed = text.replace(SURROUNDING_SPACE, '');
  const bare = trimmed.startsWith(PREFIX) ? trimmed.slice(PREFIX.length) : trimmed;
  if (HEX_PATTERN.test(bare)) return Buffer.from(bare, 'hex');
  if (BASE64_PATTERN.test(bare)) return decodeCanonical(bare, 'base64');
  if (BASE64URL_PATTERN.test(bare)) return decodeCanonical(bare, 'base64url');
  return undefined;
}

function decodeCanonical(text: string, encoding: 'base64' | 'base64url'): Buffer | undefined {
  const bytes = Buffer.from(text, encoding);
  const canonical = bytes.toString(encoding).slice(0, Math.ceil((HASH_BYTES * 4) / 3));
  return text.startsWith(canonical) ? bytes : undefined;
}
