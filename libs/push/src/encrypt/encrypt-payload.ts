import { createCipheriv, createECDH, createHmac, type ECDH, randomFillSync } from 'node:crypto';

/** The two keys of a push subscription that encryption needs. */
export interface DeviceKeys {
  /** The device's public key on P-256, uncompressed: 65 bytes, the first is 0x04. */
  readonly p256dh: Buffer;
  /** The device's authentication secret, 16 bytes. */
  readonly auth: Buffer;
}

/** The device's public key is no point of the curve: nothing can ever be encrypted for it. */
export class DeviceKeysInvalidError extends Error {
  override readonly name = 'DeviceKeysInvalidError';

  constructor() {
    super('The public key of the device is not a point on P-256.');
  }
}

/** Largest plaintext in bytes: 4,096 (RFC 8030 section 7.2) less header 86, delimiter 1 and tag 16. */
export const PAYLOAD_BYTES_MAX = 3_993;

const CURVE = 'prime256v1';
const RECORD_SIZE = 4_096;
const SALT_BYTES = 16;
const PUBLIC_KEY_BYTES = 65;
const HEADER_BYTES = SALT_BYTES + 4 + 1 + PUBLIC_KEY_BYTES;
const TAG_BYTES = 16;
const LAST_RECORD_DELIMITER = 0x02;
const KEY_INFO = Buffer.from('WebPush: info\0', 'latin1');
const CONTENT_KEY_INFO = Buffer.from('Content-Encoding: aes128gcm\0\x01', 'latin1');
const NONCE_INFO = Buffer.from('Content-Encoding: nonce\0\x01', 'latin1');
const HKDF_FIRST_BLOCK = Buffer.from([1]);

/** Salts are cut from a pool: a call to the generator costs more than its bytes. */
const saltPool = Buffer.alloc(SALT_BYTES * 256);
let saltOffset = saltPool.length;

/** One object, given a fresh key pair for each message: cheaper than a new object, and no key is used twice. */
const senderKeys = createECDH(CURVE);

/**
 * Encrypts one payload for one device: content coding `aes128gcm` (RFC 8188) with the key agreement of Web Push (RFC 8291 section 3).
 * The answer is the whole request body, 103 bytes longer than the plaintext.
 *
 * @throws RangeError when the plaintext is longer than `PAYLOAD_BYTES_MAX`
 * @throws DeviceKeysInvalidError when the device's key is not a point of the curve
 * @see https://www.rfc-editor.org/rfc/rfc8291#section-3
 */
export function encryptPayload(device: DeviceKeys, plaintext: Buffer): Buffer {
  const publicKey = senderKeys.generateKeys();
  return encryptWith({ keys: senderKeys, publicKey }, nextSalt(), device, plaintext);
}

function nextSalt(): Buffer {
  if (saltOffset === saltPool.length) {
    randomFillSync(saltPool);
    saltOffset = 0;
  }
  saltOffset += SALT_BYTES;
  return saltPool.subarray(saltOffset - SALT_BYTES, saltOffset);
}

/** The key pair of one message. The public key stands beside it because asking for it again costs as much as two HMACs. */
export interface SenderKeys {
  readonly keys: ECDH;
  /** Uncompressed: 65 bytes. */
  readonly publicKey: Buffer;
}

/** The same with the given sender keys and salt. Exported for the test vector of RFC 8291 section 5; both must be fresh otherwise. */
export function encryptWith({ keys, publicKey }: SenderKeys, salt: Buffer, device: DeviceKeys, plaintext: Buffer): Buffer {
  if (plaintext.length > PAYLOAD_BYTES_MAX) {
    throw new RangeError(`The payload has ${plaintext.length} bytes; a push message carries at most ${PAYLOAD_BYTES_MAX}.`);
  }
  const sharedSecret = agree(keys, device.p256dh);
  const keyMaterial = hmac(hmac(device.auth, sharedSecret), KEY_INFO, device.p256dh, publicKey, HKDF_FIRST_BLOCK);
  const pseudoRandomKey = hmac(salt, keyMaterial);
  const contentKey = hmac(pseudoRandomKey, CONTENT_KEY_INFO).subarray(0, 16);
  const nonce = hmac(pseudoRandomKey, NONCE_INFO).subarray(0, 12);

  const body = Buffer.allocUnsafe(HEADER_BYTES + plaintext.length + 1 + TAG_BYTES);
  salt.copy(body, 0);
  body.writeUInt32BE(RECORD_SIZE, SALT_BYTES);
  body[SALT_BYTES + 4] = PUBLIC_KEY_BYTES;
  publicKey.copy(body, SALT_BYTES + 5);
  plaintext.copy(body, HEADER_BYTES);
  body[HEADER_BYTES + plaintext.length] = LAST_RECORD_DELIMITER;
  const cipher = createCipheriv('aes-128-gcm', contentKey, nonce);
  // In one piece: a second call costs as much as the cipher itself.
  cipher.update(body.subarray(HEADER_BYTES, -TAG_BYTES)).copy(body, HEADER_BYTES);
  cipher.final();
  cipher.getAuthTag().copy(body, body.length - TAG_BYTES);
  return body;
}

function agree(keys: ECDH, p256dh: Buffer): Buffer {
  try {
    return keys.computeSecret(p256dh);
  } catch (error) {
    const isInvalid = error instanceof Error && 'code' in error && error.code === 'ERR_CRYPTO_ECDH_INVALID_PUBLIC_KEY';
    throw isInvalid ? new DeviceKeysInvalidError() : error;
  }
}

function hmac(key: Buffer, ...parts: readonly Buffer[]): Buffer {
  const mac = createHmac('sha256', key);
  for (const part of parts) mac.update(part);
  return mac.digest();
}
