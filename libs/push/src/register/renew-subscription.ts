import { Injectable } from '@nestjs/common';
import { Clock } from '#contracts';
import { type Environment, EnvironmentDirectory } from '#tenancy';
import { type Device, DeviceStore } from '../device.store.js';
import { PushSubscriptionUnprovenError } from '../push.errors.js';
import { ManageDevices } from './manage-devices.js';
import { ProvenDevices } from './proven-devices.js';
import type { PushSubscriptionInput } from './subscription.js';

/** "My browser replaced that subscription by this one." */
export interface Renewal {
  readonly publicKey: string;
  readonly old: PushSubscriptionInput;
  readonly renewed: PushSubscriptionInput;
  readonly userAgent: string | undefined;
  /** @throws OriginNotAllowedError */
  readonly admitOrigin: (environment: Environment) => void;
}

/**
 * Moves a device to the subscription that its browser put in the place of the registered one. Whoever has the authentication secret of an
 * active subscription is its browser. Of a device that was given up the secret was erased, so it cannot be proven: that is mended by the
 * next visit with a session. Every refusal is the same, so that nothing is learnt about endpoints.
 */
@Injectable()
export class RenewSubscription {
  constructor(
    private readonly environments: EnvironmentDirectory,
    private readonly devices: DeviceStore,
    private readonly proven: ProvenDevices,
    private readonly manageDevices: ManageDevices,
    private readonly clock: Clock,
  ) {}

  /** @throws PushSubscriptionUnprovenError, PushEndpointNotAllowedError, OriginNotAllowedError */
  async run({ publicKey, old, renewed, userAgent, admitOrigin }: Renewal): Promise<Device> {
    const environment = await this.environments.findByPublicKey(publicKey);
    if (environment === undefined) throw new PushSubscriptionUnprovenError();
    admitOrigin(environment);
    const owned = await this.proven.recognise(environment.id, old);
    if (owned.state !== 'proven') throw new PushSubscriptionUnprovenError();
    const owner = { environmentId: environment.id, subscriberId: owned.subscriberId };
    const device = await this.manageDevices.register(owner, renewed, userAgent);
    if (device.id !== owned.id) await this.devices.unsubscribe(owner, owned.id, this.clock.now());
    return device;
  }
}
