import { createHmac } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { SecretBox } from '#tenancy';

/** What of a device must never be seen: whoever has both can send to it. */
export interface DeviceSecret {
  /** The canonical endpoint. */
  readonly href: string;
  /** The authentication secret, 16 bytes. */
  readonly auth: Buffer;
}

/** Where a sealed secret belongs: it opens for this device's row only. */
export interface DeviceRow {
  readonly environmentId: string;
  /** @see DeviceSecrets.hashEndpoint */
  readonly endpointHash: Buffer;
}

/** Seals and opens the secrets of devices, and finds devices by endpoint without storing the endpoint in the clear. */
@Injectable()
export class DeviceSecrets {
  constructor(private readonly box: SecretBox) {}

  /** The keyed hash of a canonical endpoint, 32 bytes: the same device in another environment has another one. */
  hashEndpoint(environmentId: string, href: string): Buffer {
    return createHmac('sha256', this.box.deriveKey('push-endpoint-hash')).update(`${environmentId}\n${href}`, 'utf8').digest();
  }

  seal(row: DeviceRow, secret: DeviceSecret): Buffer {
    return this.box.seal(JSON.stringify([secret.href, secret.auth.toString('base64url')]), contextOf(row));
  }

  /** @throws SecretUnreadableError `secret_unreadable` under another BELFRY_SECRET_KEY, or for the ciphertext of another row */
  open(row: DeviceRow, sealed: Buffer): DeviceSecret {
    const [href, auth] = JSON.parse(this.box.open(sealed, contextOf(row))) as [string, string];
    return { href, auth: Buffer.from(auth, 'base64url') };
  }
}

function contextOf({ environmentId, endpointHash }: DeviceRow): { purpose: string; associatedData: string } {
  return { purpose: 'push-device', associatedData: `${environmentId}:${endpointHash.toString('hex')}` };
}
