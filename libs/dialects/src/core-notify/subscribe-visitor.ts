import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { AdmitClaim, IdentifyRateLimit, type PageOrigin, type Proof } from '#identity';
import {
  type Device,
  ManageDevices,
  ProvenDevices,
  PushEnvironmentNotFoundError,
  type PushSubscriptionInput,
  PushSubscriptionUnprovenError,
} from '#push';
import { SubscriberStore } from '#subscribers';
import { type Environment, EnvironmentDirectory } from '#tenancy';

/** Ids of visitors begin with it. */
export const VISITOR_PREFIX = 'visitor_';

const VISITOR_ID_CHARACTERS = 32;

/** "Send to this browser", with where it came from. */
export interface VisitorSubscription {
  readonly publicKey: string;
  readonly subscription: PushSubscriptionInput;
  /** Who the visitor is said to be; absent: nobody said. */
  readonly proof: (Proof & { readonly kind: 'subscriber' }) | undefined;
  readonly address: string;
  readonly page: PageOrigin | undefined;
  readonly sdk: string | undefined;
  readonly userAgent: string | undefined;
  /** @throws OriginNotAllowedError */
  readonly admitOrigin: (environment: Environment) => void;
}

/**
 * Registers the browser of a visitor. With a proof it is that person's, as by a session. Without one it is a subscriber's of its own, whose
 * id we give: nobody gains access to anybody by it. Whoever proved nothing never takes an active device from somebody without its keys. With
 * them it stays whose it is, or becomes that of the person who is named, where the policy lets people in without a proof: another person
 * has signed in on that browser.
 */
@Injectable()
export class SubscribeVisitor {
  constructor(
    private readonly environments: EnvironmentDirectory,
    private readonly admit: AdmitClaim,
    private readonly subscribers: SubscriberStore,
    private readonly devices: ManageDevices,
    private readonly proven: ProvenDevices,
    private readonly rateLimit: IdentifyRateLimit,
  ) {}

  /**
   * @throws PushEnvironmentNotFoundError, PushSubscriptionUnprovenError, PushEndpointNotAllowedError, OriginNotAllowedError,
   *   RateLimitedError, and the error of every refused proof (`refusalError`)
   */
  async run(visit: VisitorSubscription): Promise<Device> {
    const { publicKey, proof, subscription, userAgent } = visit;
    const environment = await this.environments.findByPublicKey(publicKey);
    const named = proof === undefined ? undefined : await this.admitPerson(visit, proof, environment);
    if (environment === undefined) throw new PushEnvironmentNotFoundError();
    visit.admitOrigin(environment);
    const { href } = this.devices.readEndpoint(subscription);
    const subscriberId =
      named?.verified === true
        ? await this.subscribers.ensureSubscriber(environment.id, named.externalId)
        : await this.ownerWithoutProof(visit, environment, named?.externalId ?? visitorIdOf(environment, href));
    return this.devices.register({ environmentId: environment.id, subscriberId }, subscription, userAgent);
  }

  private async admitPerson(visit: VisitorSubscription, proof: Proof, environment: Environment | undefined) {
    const { publicKey, address, page, sdk } = visit;
    return this.admit.run({ environment, publicKey, surface: 'push', proof, address, page, sdk });
  }

  /** @param externalId the person whom the policy let in without a proof, or the visitor that the browser is by itself */
  private async ownerWithoutProof(
    { subscription, address, proof }: VisitorSubscription,
    environment: Environment,
    externalId: string,
  ): Promise<string> {
    const shown = await this.proven.recognise(environment.id, subscription);
    if (shown.state === 'other-keys') throw new PushSubscriptionUnprovenError();
    if (shown.state === 'proven' && proof === undefined) return shown.subscriberId;
    await this.rateLimit.countUnverified(address, environment.id);
    return this.subscribers.ensureSubscriber(environment.id, externalId, undefined, false);
  }
}

/** The same for each call of one browser, so that a repeat makes nobody new. */
function visitorIdOf(environment: Environment, href: string): string {
  const digest = createHash('sha256').update(`${environment.id}\n${href}`, 'utf8').digest('hex');
  return VISITOR_PREFIX + digest.slice(0, VISITOR_ID_CHARACTERS);
}
