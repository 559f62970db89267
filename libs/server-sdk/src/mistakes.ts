/** Mistakes of an integration, each with its own code. They are made once, at a desk: the message says what to change. */
export type MistakeCode =
  | 'public_key_missing'
  | 'public_key_invalid'
  | 'secret_missing'
  | 'secret_short'
  | 'secret_long'
  | 'secret_weak'
  | 'secret_padded'
  | 'secret_is_public_key'
  | 'secret_is_api_key'
  | 'secret_of_other_environment'
  | 'id_not_string'
  | 'id_empty'
  | 'id_long'
  | 'id_control_character'
  | 'id_lone_surrogate'
  | 'id_is_json'
  | 'traits_invalid';

/** What the integration does wrong. Its text never holds a secret, and no id. */
export class IdentityMistakeError extends Error {
  constructor(
    readonly code: MistakeCode,
    message: string,
  ) {
    super(message);
    this.name = 'IdentityMistakeError';
  }
}

/** Fewest and most bytes of an identity secret. With an empty or a short one everybody could sign. */
export const SECRET_BYTES_MIN = 32;
export const SECRET_BYTES_MAX = 255;

/** Longest id, in bytes of UTF-8. */
export const ID_BYTES_MAX = 255;

/** @throws IdentityMistakeError unless it is the public key of an environment */
export function requirePublicKey(publicKey: unknown): string {
  if (typeof publicKey !== 'string' || publicKey === '') {
    throw new IdentityMistakeError('public_key_missing', 'publicKey is missing. Is BELFRY_PUBLIC_KEY set?');
  }
  if (!/^pk_[\x21-\x7e]+$/.test(publicKey)) {
    throw new IdentityMistakeError('public_key_invalid', 'publicKey must be the public key of the environment; it begins with "pk_".');
  }
  return publicKey;
}

/** @throws IdentityMistakeError unless it can be an identity secret of the environment that `publicKey` names */
export function requireSecret(secret: unknown, publicKey: string): string {
  if (typeof secret !== 'string' || secret === '') {
    throw new IdentityMistakeError('secret_missing', 'secret is missing or empty. Is BELFRY_IDENTITY_SECRET set?');
  }
  if (secret.startsWith('pk_')) {
    throw new IdentityMistakeError(
      'secret_is_public_key',
      'secret is a public key, which everybody knows. Use the identity secret "isk_…".',
    );
  }
  if (secret.startsWith('sk_')) {
    throw new IdentityMistakeError(
      'secret_is_api_key',
      'secret is an API key. Use the identity secret "isk_…": it signs ids and can do nothing else.',
    );
  }
  if (secret.trim() !== secret) {
    throw new IdentityMistakeError('secret_padded', 'secret has white space or a line end around it, which would be signed with. Trim it.');
  }
  requireStrength(secret);
  const [ofSecret, ofKey] = [kindOf(secret), kindOf(publicKey)];
  if (ofSecret !== undefined && ofKey !== undefined && ofSecret !== ofKey) {
    throw new IdentityMistakeError(
      'secret_of_other_environment',
      `secret is of a ${ofSecret} environment and publicKey of a ${ofKey} one.`,
    );
  }
  return secret;
}

/** @param what names the id in the message: "subscriber id" or "company id". @throws IdentityMistakeError unless it can be an id */
export function requireId(id: unknown, what: string): string {
  if (typeof id !== 'string') {
    const hint = typeof id === 'number' || typeof id === 'bigint' ? ' Turn it into a string first, and keep it one everywhere.' : '';
    throw new IdentityMistakeError('id_not_string', `The ${what} must be a string, not ${describeType(id)}.${hint}`);
  }
  if (id === '') throw new IdentityMistakeError('id_empty', `The ${what} is empty.`);
  if (Buffer.byteLength(id, 'utf8') > ID_BYTES_MAX) {
    throw new IdentityMistakeError('id_long', `The ${what} is longer than ${ID_BYTES_MAX} bytes of UTF-8.`);
  }
  // Lines part the texts that are signed, so that an id with a line feed could say more than an id.
  if (/\p{Cc}/u.test(id)) {
    throw new IdentityMistakeError('id_control_character', `The ${what} holds a line feed or another control character.`);
  }
  if (/\p{Surrogate}/u.test(id)) {
    throw new IdentityMistakeError('id_lone_surrogate', `The ${what} holds half of a character (a lone surrogate), which has no bytes.`);
  }
  return id;
}

/** @throws IdentityMistakeError for an id that is the text of a JSON object: the plain hash of such an id is refused */
export function refuseJsonObject(id: string): string {
  if (!isJsonObject(id)) return id;
  throw new IdentityMistakeError(
    'id_is_json',
    'The subscriber id is the text of a JSON object. Sign it with signFresh, or use another id.',
  );
}

function requireStrength(secret: string): void {
  const bytes = Buffer.byteLength(secret, 'utf8');
  if (bytes < SECRET_BYTES_MIN) {
    throw new IdentityMistakeError('secret_short', `secret has ${bytes} bytes; at least ${SECRET_BYTES_MIN} are needed.`);
  }
  if (bytes > SECRET_BYTES_MAX) {
    throw new IdentityMistakeError('secret_long', `secret has ${bytes} bytes; at most ${SECRET_BYTES_MAX} are taken.`);
  }
  if (new Set(secret).size === 1) throw new IdentityMistakeError('secret_weak', 'secret is one character over and over.');
}

/** `live` or `test` of a key that Belfry made; `undefined` for secrets that a customer brought along. */
function kindOf(key: string): string | undefined {
  return /^i?[ps]k_(live|test)_/.exec(key)?.[1];
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

function describeType(value: unknown): string {
  if (value === null) return 'null';
  if (value === undefined) return 'undefined (is somebody signed in?)';
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
