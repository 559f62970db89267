import { type DeviceKeys, encryptPayload } from './encrypt-payload.js';

/** Makes the bodies of push requests; where the work is done is the implementation's affair. */
export abstract class PayloadEncryption {
  /**
   * The whole request body for one device.
   *
   * @throws RangeError when the plaintext is longer than `PAYLOAD_BYTES_MAX`
   * @throws DeviceKeysInvalidError when nothing can ever be encrypted for the device
   */
  abstract encrypt(device: DeviceKeys, plaintext: Buffer): Promise<Buffer>;
}

/** Encrypts on the thread of the caller. */
export class InlineEncryption extends PayloadEncryption {
  async encrypt(device: DeviceKeys, plaintext: Buffer): Promise<Buffer> {
    return encryptPayload(device, plaintext);
  }
}
