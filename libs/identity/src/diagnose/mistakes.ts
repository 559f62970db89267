/** What the doctor can say of a mistake. Texts name no secret and no id. */
interface MistakeFacts {
  readonly explanation: string;
  readonly fix: string;
}

/** Every mistake that the doctor knows: a closed list. */
export const MISTAKES = {
  other_environment_secret: {
    explanation: 'The proof was made with a key of another environment of this workspace.',
    fix: 'Use the identity secret of the environment whose public key the page sends.',
  },
  retired_secret: {
    explanation: 'The proof was made with a key that is retired.',
    fix: 'Sign with a live key; GET /v1/identity-secrets lists them.',
  },
  id_trimmed: {
    explanation: 'The hash was made over the id with other white space around it than the id that was sent.',
    fix: 'Hash and send exactly the same text; ids are never trimmed.',
  },
  id_case: {
    explanation: 'The hash was made over the id in other letters (lower or upper case) than the id that was sent.',
    fix: 'Hash and send exactly the same text; ids are never case-folded.',
  },
  id_url_encoded: {
    explanation: 'The hash was made over the percent-encoded (or decoded) form of the id that was sent.',
    fix: 'Hash the id itself, before it is encoded for a URL.',
  },
  id_unicode_form: {
    explanation: 'The hash was made over another Unicode normal form (NFC, NFD) of the id that was sent.',
    fix: 'Keep ids as they are stored; the two forms are two ids.',
  },
  id_as_number: {
    explanation: 'The id was handled as a number: it is sent as one, or the hash was made over its digits after a conversion.',
    fix: 'Keep ids as strings: numbers lose leading zeros and large ones lose digits.',
  },
  id_quoted: {
    explanation: 'The hash was made over the id in quotation marks, as JSON writes it.',
    fix: 'Hash the id, not its JSON text.',
  },
  id_trailing_newline: {
    explanation: 'The id that was hashed, or the one that was sent, has a line end after it.',
    fix: 'Leave the line end away: use "printf %s" in place of "echo", and trim what is read from files.',
  },
  id_as_ascii: {
    explanation: 'The id was turned into ASCII before it was hashed, so that other characters became question marks or went.',
    fix: 'Hash the UTF-8 bytes of the id.',
  },
  id_as_latin1: {
    explanation: 'The id was turned into Latin-1 (or Windows-1252) bytes before it was hashed, or its UTF-8 bytes were taken for Latin-1.',
    fix: 'Hash the UTF-8 bytes of the id.',
  },
  email_instead_of_id: {
    explanation: 'The hash was made over the e-mail address and not over the id that was sent.',
    fix: 'Hash the same id that the page sends.',
  },
  company_instead_of_subscriber: {
    explanation: 'The hash was made over the id of the company, or over the text of a company proof, and not for the person.',
    fix: 'Hash the id of the person; a company has a proof of its own.',
  },
  secret_trailing_newline: {
    explanation: 'The secret was used with a line end or space around it.',
    fix: 'Trim the secret where it is read from a file or the environment.',
  },
  secret_as_hex: {
    explanation: 'The secret was decoded as hex before it was used as the key.',
    fix: 'Use the UTF-8 bytes of the whole text of the secret.',
  },
  secret_as_base64: {
    explanation: 'The secret was decoded as base64 before it was used as the key.',
    fix: 'Use the UTF-8 bytes of the whole text of the secret.',
  },
  secret_without_prefix: {
    explanation: 'The secret was used without the prefix in front of its random part.',
    fix: 'Use the whole text of the secret, isk_ included.',
  },
  secret_quoted: {
    explanation: 'The secret was used together with quotation marks around it.',
    fix: 'Take the quotation marks away where the secret is configured.',
  },
  secret_empty: {
    explanation: 'The key was empty: the secret was not configured where the hash is made, or it was decoded as hex, which it is not.',
    fix: 'Check the name of the variable that holds the secret, and refuse to start without it.',
  },
  public_key_as_secret: {
    explanation: 'The public key of the environment was used as the secret.',
    fix: 'Use an identity secret (isk_…), which only your server knows.',
  },
  arguments_swapped: {
    explanation: 'Key and message were swapped: the secret was hashed under the id.',
    fix: 'The secret is the key of the HMAC, the id is its message.',
  },
  sha256_not_hmac: {
    explanation: 'A plain hash (SHA-256) of secret and id, or of the id alone, was made in place of an HMAC.',
    fix: 'Use HMAC-SHA256 with the secret as its key.',
  },
  hmac_sha1: {
    explanation: 'SHA-1 was used in place of SHA-256.',
    fix: 'Use HMAC-SHA256.',
  },
  hmac_sha512: {
    explanation: 'SHA-512 was used in place of SHA-256.',
    fix: 'Use HMAC-SHA256.',
  },
  base64_of_hex: {
    explanation: 'The hex text of the hash was encoded as base64 once more.',
    fix: 'Send the hex text, or the base64 of the 32 bytes themselves.',
  },
  timestamp_in_milliseconds: {
    explanation: 'The timestamp is in milliseconds.',
    fix: 'Send and sign Unix time in whole seconds.',
  },
  token_key_is_identity_secret: {
    explanation: 'The token is signed with an identity secret, which signs ids only.',
    fix: 'Register a key for tokens with POST /v1/identity-secrets/token-keys and sign with it.',
  },
} as const satisfies Readonly<Record<string, MistakeFacts>>;

export type Mistake = keyof typeof MISTAKES;
