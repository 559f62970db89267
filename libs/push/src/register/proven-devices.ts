import { timingSafeEqual } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { BelfryConfig } from '#config';
import type { Sql } from '#database';
import { DeviceStore } from '../device.store.js';
import { pushConfig } from '../push.config.js';
import { parseEndpoint, type PushEndpoint } from '../push-vendor.js';
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
  | { readonly state: 'other-keys'; readonly subscriberId: string }
  | { readonly state: 'unknown' };

/** Is it an active device of somebody else, shown by one who knows its endpoint and not its keys? Nobody takes a device that way. */
export function isTaking(shown: ShownDevice, subscriberId: string | undefined): boolean {
  return shown.state === 'other-keys' && shown.subscriberId !== subscriberId;
}

/** Recognises devices by their own subscription, without a session: whoever has its keys is its browser. */
@Injectable()
export class ProvenDevices {
  constructor(
    private readonly devices: DeviceStore,
    private readonly secrets: DeviceSecrets,
    private readonly config: BelfryConfig,
  ) {}

  /** The endpoint in its canonical form; `undefined` for one of no push service that this installation sends to. */
  parseEndpoint(text: string): PushEndpoint | undefined {
    return parseEndpoint(text, this.config.of(pushConfig).extraOrigins);
  }

  /** What the subscription is in this environment. */
  async recognise(environmentId: string, { endpoint, keys }: PushSubscriptionInput, tx?: Sql): Promise<ShownDevice> {
    const parsed = this.parseEndpoint(endpoint);
    if (parsed === undefined) return { state: 'unknown' };
    const endpointHash = this.secrets.hashEndpoint(environmentId, parsed.href);
    const found = await this.devices.findActiveByEndpoint(environmentId, endpointHash, tx);
    if (found === undefined) return { state: 'unknown' };
    const { auth } = this.secrets.open({ environmentId, endpointHash }, found.ciphertext);
    const isProven = timingSafeEqual(auth, keys.auth) && timingSafeEqual(found.p256dh, keys.p256dh);
    const { id, subscriberId } = found;
    return isProven ? { state: 'proven', id, subscriberId } : { state: 'other-keys', subscriberId };
  }
}
