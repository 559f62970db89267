/**
 * The form in which payloads go to an encryption thread and come back: one buffer per batch, handed over instead of copied. An object per
 * payload would cost both threads more than its fields are worth.
 *
 * Request, for each payload: public key 65 bytes, authentication secret 16 bytes, length of the plaintext 2 bytes, plaintext.
 * Answer, in the same order: length of the body 2 bytes, body; the length is 0 where the device's keys are invalid.
 */
import { type DeviceKeys, DeviceKeysInvalidError, encryptPayload, PAYLOAD_BYTES_MAX } from './encrypt-payload.js';

const P256DH_BYTES = 65;
const AUTH_BYTES = 16;
const LENGTH_BYTES = 2;
const HEAD_BYTES = P256DH_BYTES + AUTH_BYTES + LENGTH_BYTES;
const KEYS_INVALID = 0;

/** One payload for one device. */
export interface EncryptionJob {
  readonly device: DeviceKeys;
  readonly plaintext: Buffer;
}

/** Whether the job fits the form; what does not is refused by `encryptPayload` itself. */
export function isPackable({ device, plaintext }: EncryptionJob): boolean {
  return device.p256dh.length === P256DH_BYTES && device.auth.length === AUTH_BYTES && plaintext.length <= PAYLOAD_BYTES_MAX;
}

/** The request of a batch. Each job must be packable. */
export function packJobs(jobs: readonly EncryptionJob[]): ArrayBuffer {
  const bytes = Buffer.from(new ArrayBuffer(jobs.reduce((sum, { plaintext }) => sum + HEAD_BYTES + plaintext.length, 0)));
  let offset = 0;
  for (const { device, plaintext } of jobs) {
    offset += device.p256dh.copy(bytes, offset);
    offset += device.auth.copy(bytes, offset);
    offset = bytes.writeUInt16BE(plaintext.length, offset);
    offset += plaintext.copy(bytes, offset);
  }
  return bytes.buffer;
}

/** Encrypts a request. @returns its answer */
export function encryptPacked(request: ArrayBuffer): ArrayBuffer {
  const bodies = [...unpackJobs(Buffer.from(request))].map(({ device, plaintext }) => encryptOrNothing(device, plaintext));
  const bytes = Buffer.from(new ArrayBuffer(bodies.reduce((sum, body) => sum + LENGTH_BYTES + body.length, 0)));
  let offset = 0;
  for (const body of bodies) {
    offset = bytes.writeUInt16BE(body.length, offset);
    offset += body.copy(bytes, offset);
  }
  return bytes.buffer;
}

/** The bodies of an answer in the order of their jobs; `undefined` where the device's keys are invalid. They share one memory. */
export function* unpackBodies(answer: ArrayBuffer): Generator<Buffer | undefined> {
  const bytes = Buffer.from(answer);
  for (let offset = 0; offset < bytes.length;) {
    const length = bytes.readUInt16BE(offset);
    offset += LENGTH_BYTES;
    yield length === KEYS_INVALID ? undefined : bytes.subarray(offset, offset + length);
    offset += length;
  }
}

function* unpackJobs(bytes: Buffer): Generator<EncryptionJob> {
  for (let offset = 0; offset < bytes.length;) {
    const p256dh = bytes.subarray(offset, (offset += P256DH_BYTES));
    const auth = bytes.subarray(offset, (offset += AUTH_BYTES));
    const length = bytes.readUInt16BE(offset);
    offset += LENGTH_BYTES;
    yield { device: { p256dh, auth }, plaintext: bytes.subarray(offset, (offset += length)) };
  }
}

function encryptOrNothing(device: DeviceKeys, plaintext: Buffer): Buffer {
  try {
    return encryptPayload(device, plaintext);
  } catch (error) {
    if (error instanceof DeviceKeysInvalidError) return Buffer.alloc(0);
    throw error;
  }
}
