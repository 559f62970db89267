import { Injectable } from '@nestjs/common';
import { Clock, newUuid } from '#contracts';
import { Database } from '#database';
import { isStorableText } from '#http';
import { DeviceStore, type Device, type DeviceOwner } from '../device.store.js';
import { PushDeviceNotFoundError, PushEndpointNotAllowedError, PushSubscriptionUnprovenError } from '../push.errors.js';
import type { PushEndpoint } from '../push-vendor.js';
import { VapidKeys } from '../vapid/vapid-keys.js';
import { DeviceSecrets } from './device-secrets.js';
import { isTaking, ProvenDevices } from './proven-devices.js';
import type { PushSubscriptionInput } from './subscription.js';

/** Active devices of one subscriber; a further one takes the place of the one that was not seen for longest. */
export const DEVICES_PER_SUBSCRIBER_MAX = 20;

const USER_AGENT_CHARACTERS_MAX = 255;

/** Registers, lists and removes the devices of subscribers. */
@Injectable()
export class ManageDevices {
  constructor(
    private readonly database: Database,
    private readonly devices: DeviceStore,
    private readonly secrets: DeviceSecrets,
    private readonly proven: ProvenDevices,
    private readonly vapidKeys: VapidKeys,
    private readonly clock: Clock,
  ) {}

  /**
   * Registers the browser's subscription for the session's subscriber. Repeating it only notes that the device was seen. A browser
   * that another subscriber used before is the present one's from now on: one device never serves two people. An active device is taken
   * from somebody with its keys alone, which only its browser has: an endpoint is told to push services, too.
   * @throws PushEndpointNotAllowedError, PushSubscriptionUnprovenError
   */
  async register(owner: DeviceOwner, subscription: PushSubscriptionInput, userAgent: string | undefined): Promise<Device> {
    const endpoint = this.readEndpoint(subscription);
    const { id: vapidKeyId } = await this.vapidKeys.readLive(owner.environmentId);
    const at = this.clock.now();
    const endpointHash = this.secrets.hashEndpoint(owner.environmentId, endpoint.href);
    const secret = { href: endpoint.href, auth: subscription.keys.auth };
    const registration = {
      id: newUuid(at.getTime()),
      vendor: endpoint.vendor,
      vapidKeyId,
      endpointHash,
      ciphertext: this.secrets.seal({ environmentId: owner.environmentId, endpointHash }, secret),
      p256dh: subscription.keys.p256dh,
      userAgent: toStoredUserAgent(userAgent),
      at,
    };
    return this.database.transaction(async (tx) => {
      await this.devices.lockRegistration(owner, endpointHash, tx);
      const shown = await this.proven.recognise(owner.environmentId, subscription, tx);
      if (isTaking(shown, owner.subscriberId)) throw new PushSubscriptionUnprovenError();
      const device = await this.devices.upsert(owner, registration, tx);
      await this.devices.unsubscribeSurplus(owner, { devicesMax: DEVICES_PER_SUBSCRIBER_MAX, at }, tx);
      return device;
    });
  }

  /**
   * The endpoint in its canonical form, for whoever writes something before the device.
   * @throws PushEndpointNotAllowedError
   */
  readEndpoint({ endpoint: text }: Pick<PushSubscriptionInput, 'endpoint'>): PushEndpoint {
    const endpoint = this.proven.parseEndpoint(text);
    if (endpoint === undefined) throw new PushEndpointNotAllowedError();
    return endpoint;
  }

  /** Devices in the order of their making; one row more than asked for tells that there is another page. */
  list(owner: DeviceOwner, page: { limit: number; afterId?: string }): Promise<Device[]> {
    return this.devices.list(owner, { ...page, limit: page.limit + 1 });
  }

  /**
   * Removes a device: nothing more is sent to it. Repeating it changes nothing.
   * @throws PushDeviceNotFoundError for an unknown or foreign id
   */
  async remove(owner: DeviceOwner, deviceId: string | undefined): Promise<void> {
    const found = deviceId !== undefined && (await this.devices.unsubscribe(owner, deviceId, this.clock.now()));
    if (!found) throw new PushDeviceNotFoundError();
  }
}

/** A header may hold anything: what cannot be stored is left out. */
function toStoredUserAgent(userAgent: string | undefined): string | null {
  return userAgent === undefined || !isStorableText(userAgent) ? null : userAgent.slice(0, USER_AGENT_CHARACTERS_MAX);
}
