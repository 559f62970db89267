import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { SecretUnreadableError } from './tenancy.errors.js';

/** Length of the installation's key and of every key derived from it. */
export const SECRET_KEY_BYTES = 32;

const FORMAT_VERSION = 1;
const FINGERPRINT_BYTES = 4;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEADER_BYTES = 1 + FINGERPRINT_BYTES;
const CIPHER = 'aes-256-gcm';

/** What a sealed text belongs to. Opening needs the same values: a ciphertext moved to another row or tenant does not open. */
export interface SealContext {
  /** Names the derived key: one per kind of secret, for example `identity-secret`. */
  readonly purpose: string;
  /** Bound to the ciphertext, not stored in it: usually the environment id. */
  readonly associatedData: string;
}

/**
 * Seals short secrets for storage with AES-256-GCM under keys derived from the installation's key (BELFRY_SECRET_KEY).
 *
 * Sealed form: version (1 byte), fingerprint of the installation's key (4), nonce (12), ciphertext, tag (16). The fingerprint
 * tells a wrong key from a damaged row, and lets a second key be recognised when the installation's key is changed.
 */
export class SecretBox {
  private readonly keys = new Map<string, Buffer>();
  private readonly fingerprint: Buffer;

  /** @param installationKey exactly {@link SECRET_KEY_BYTES} bytes */
  constructor(private readonly installationKey: Buffer) {
    if (installationKey.length !== SECRET_KEY_BYTES) throw new RangeError(`the installation's key must have ${SECRET_KEY_BYTES} bytes`);
    this.fingerprint = this.deriveKey('fingerprint').subarray(0, FINGERPRINT_BYTES);
  }

  /** A key of 32 bytes for one purpose (HKDF-SHA256, RFC 5869): knowing one tells nothing about the others. */
  deriveKey(purpose: string): Buffer {
    const known = this.keys.get(purpose);
    if (known !== undefined) return known;
    const derived = Buffer.from(hkdfSync('sha256', this.installationKey, '', `belfry:${purpose}`, SECRET_KEY_BYTES));
    this.keys.set(purpose, derived);
    return derived;
  }

  /** Encrypts a text; every call gives another ciphertext. */
  seal(plaintext: string, context: SealContext): Buffer {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, this.deriveKey(context.purpose), nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(Buffer.from(context.associatedData, 'utf8'));
    const body = Buffer.concat([cipher.update(plaintext, 'utf8'), cipher.final()]);
    return Buffer.concat([Buffer.of(FORMAT_VERSION), this.fingerprint, nonce, body, cipher.getAuthTag()]);
  }

  /**
   * Decrypts what {@link seal} made.
   * @throws SecretUnreadableError `secret_unreadable` for another installation's key, another context or damaged bytes
   */
  open(sealed: Buffer, context: SealContext): string {
    if (sealed.length < HEADER_BYTES + NONCE_BYTES + TAG_BYTES || sealed[0] !== FORMAT_VERSION) {
      throw new SecretUnreadableError('the stored secret is damaged');
    }
    if (!sealed.subarray(1, HEADER_BYTES).equals(this.fingerprint)) {
      throw new SecretUnreadableError('the stored secret was sealed with another BELFRY_SECRET_KEY');
    }
    const nonce = sealed.subarray(HEADER_BYTES, HEADER_BYTES + NONCE_BYTES);
    const decipher = createDecipheriv(CIPHER, this.deriveKey(context.purpose), nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(Buffer.from(context.associatedData, 'utf8'));
    decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
    try {
      const body = decipher.update(sealed.subarray(HEADER_BYTES + NONCE_BYTES, -TAG_BYTES));
      return Buffer.concat([body, decipher.final()]).toString('utf8');
    } catch (cause) {
      throw new SecretUnreadableError('the stored secret does not open: damaged, or it belongs to another environment', { cause });
    }
  }
}

/** Reads an installation key from its text form; `undefined` unless it is the canonical base64 of exactly 32 bytes. */
export function parseSecretKey(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.length === SECRET_KEY_BYTES && bytes.toString('base64') === text ? bytes : undefined;
}
