import { timingSafeEqual } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { BelfryConfig } from '#config';
import { DeviceStore } from '../device.store.js';
import { pushConfig } from '../push.config.js';
import { parseEndpoint } from '../push-vendor.js';
import { DeviceSecrets } from './device-secrets.js';
import type { PushSubscriptionInput } from './subscription.js';

/**
 * What is known of a subscription that a browser shows:
 * - `proven`: it is the active device of that endpoint, and its keys are shown with it, which only its browser has.
 * - `other-keys`: the endpoint is an active device's, and the keys are not.
 * - `unknown`: there is no active device of that endpoint. Of a device that was given up the secret was erased, so it cannot be proven.
 */
export type ShownDevice =
  | { readonly state: 'proven'; readonly id: string; readonly subscriberId: string }
  | { readonly state: 'other-keys' }
  | { readonly state: 'unknown' };

/** Recognises devices by their own subscription, without a session: whoever has its keys is its browser. */
@Injectable()
export class ProvenDevices {
  constructor(
    private readonly devices: DeviceStore,
    private readonly secrets: DeviceSecrets,
    private readonly config: BelfryConfig,
  ) {}

  /** What the subscription is in this environment. */
  async recognise(environmentId: string, { endpoint, keys }: PushSubscriptionInput): Promise<ShownDevice> {
    const parsed = parseEndpoint(endpoint, this.config.of(pushConfig).extraOrigins);
    if (parsed === undefined) return { state: 'unknown' };
    const endpointHash = this.secrets.hashEndpoint(environmentId, parsed.href);
    const found = await this.devices.findActiveByEndpoint(environmentId, endpointHash);
    if (found === undefined) return { state: 'unknown' };
    const { auth } = this.secrets.open({ environmentId, endpointHash }, found.ciphertext);
    const isProven = timingSafeEqual(auth, keys.auth) && timingSafeEqual(found.p256dh, keys.p256dh);
    return isProven ? { state: 'proven', id: found.id, subscriberId: found.subscriberId } : { state: 'other-keys' };
  }
}
