import { Injectable } from '@nestjs/common';
import { ManageDevices, ProvenDevices, PushEnvironmentNotFoundError, type PushSubscriptionInput } from '#push';
import { type Environment, EnvironmentDirectory } from '#tenancy';

/** "Send no more to this browser." */
export interface VisitorDeparture {
  readonly publicKey: string;
  readonly subscription: PushSubscriptionInput;
  /** @throws OriginNotAllowedError */
  readonly admitOrigin: (environment: Environment) => void;
}

/** Ends a subscription for whoever has its keys. What is not registered with these keys is answered alike, so that nothing is learnt. */
@Injectable()
export class UnsubscribeVisitor {
  constructor(
    private readonly environments: EnvironmentDirectory,
    private readonly devices: ManageDevices,
    private readonly proven: ProvenDevices,
  ) {}

  /** @throws PushEnvironmentNotFoundError, OriginNotAllowedError */
  async run({ publicKey, subscription, admitOrigin }: VisitorDeparture): Promise<void> {
    const environment = await this.environments.findByPublicKey(publicKey);
    if (environment === undefined) throw new PushEnvironmentNotFoundError();
    admitOrigin(environment);
    const shown = await this.proven.recognise(environment.id, subscription);
    if (shown.state !== 'proven') return;
    await this.devices.remove({ environmentId: environment.id, subscriberId: shown.subscriberId }, shown.id);
  }
}
