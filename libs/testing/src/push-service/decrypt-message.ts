import { createDecipheriv, type ECDH, hkdfSync } from 'node:crypto';

/** A message that a browser could not read. */
export class UnreadableMessageError extends Error {}

const SALT_BYTES = 16;
const RECORD_SIZE_BYTES = 4;
const PUBLIC_KEY_BYTES = 65;
const UNCOMPRESSED_POINT = 0x04;
const HEADER_BYTES = SALT_BYTES + RECORD_SIZE_BYTES + 1 + PUBLIC_KEY_BYTES;
const TAG_BYTES = 16;
const RECORD_SIZE_MIN = 18;
const LAST_RECORD_DELIMITER = 0x02;

/** The keys that a device keeps to itself, and what it tells the application server. */
export interface DeviceSecrets {
  readonly keyPair: ECDH;
  readonly auth: Buffer;
}

/**
 * Decrypts a push message as a browser does (RFC 8291 section 3, RFC 8188). It shares no code with the sender's encryption, and strictly
 * takes what Web Push allows: one record, ended by its delimiter.
 *
 * @returns the plaintext and the sender's public key of this message
 * @throws UnreadableMessageError
 */
export function decryptMessage(device: DeviceSecrets, body: Buffer): { plaintext: Buffer; senderKey: Buffer } {
  if (body.length < HEADER_BYTES + 1 + TAG_BYTES) throw new UnreadableMessageError(`A body of ${body.length} bytes holds no message.`);
  const salt = body.subarray(0, SALT_BYTES);
  const recordSize = body.readUInt32BE(SALT_BYTES);
  const keyBytes = body[SALT_BYTES + RECORD_SIZE_BYTES];
  const senderKey = body.subarray(HEADER_BYTES - PUBLIC_KEY_BYTES, HEADER_BYTES);
  const record = body.subarray(HEADER_BYTES);
  if (keyBytes !== PUBLIC_KEY_BYTES || senderKey[0] !== UNCOMPRESSED_POINT)
    throw new UnreadableMessageError('The key id is no public key.');
  if (recordSize < RECORD_SIZE_MIN) throw new UnreadableMessageError(`The record size ${recordSize} is too small.`);
  if (record.length > recordSize) throw new UnreadableMessageError('The message has more than one record.');
  const { contentKey, nonce } = deriveKeys(device, { salt, senderKey });
  return { plaintext: withoutPadding(decryptRecord(record, contentKey, nonce)), senderKey };
}

function deriveKeys(
  device: DeviceSecrets,
  { salt, senderKey }: { salt: Buffer; senderKey: Buffer },
): { contentKey: Buffer; nonce: Buffer } {
  let sharedSecret: Buffer;
  try {
    sharedSecret = device.keyPair.computeSecret(senderKey);
  } catch {
    throw new UnreadableMessageError('The public key of the sender is not on the curve.');
  }
  const keyInfo = Buffer.concat([Buffer.from('WebPush: info\0'), device.keyPair.getPublicKey(), senderKey]);
  const keyMaterial = Buffer.from(hkdfSync('sha256', sharedSecret, device.auth, keyInfo, 32));
  const derive = (info: string, bytes: number) => Buffer.from(hkdfSync('sha256', keyMaterial, salt, info, bytes));
  return { contentKey: derive('Content-Encoding: aes128gcm\0', 16), nonce: derive('Content-Encoding: nonce\0', 12) };
}

function decryptRecord(record: Buffer, contentKey: Buffer, nonce: Buffer): Buffer {
  const decipher = createDecipheriv('aes-128-gcm', contentKey, nonce);
  decipher.setAuthTag(record.subarray(record.length - TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(record.subarray(0, record.length - TAG_BYTES)), decipher.final()]);
  } catch {
    throw new UnreadableMessageError('The message was encrypted for another device, or changed on its way.');
  }
}

/** The delimiter stands behind the plaintext; zeros behind it are padding. */
function withoutPadding(padded: Buffer): Buffer {
  let end = padded.length - 1;
  while (end >= 0 && padded[end] === 0) end -= 1;
  if (padded[end] !== LAST_RECORD_DELIMITER) throw new UnreadableMessageError('The record does not end as the last record of a message.');
  return padded.subarray(0, end);
}
