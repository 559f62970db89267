import { Injectable } from '@nestjs/common';
import { Clock } from '#contracts';
import { partTraits } from '#identity';
import { isTaking, ManageDevices, ProvenDevices, type PushSubscriptionInput, PushSubscriptionUnprovenError } from '#push';
import { AttributeStore, type Subscriber, SubscriberInvalidError, SubscriberStore, toSubscriberPatch } from '#subscribers';
import type { WelcomeUser } from '../admit/admit-user.js';
import { NotificationApiUserMismatchError } from '../notificationapi.errors.js';
import type { NotificationApiUser, UserBody } from './user-body.js';

const TRAITS = ['email', 'number'] as const;
const KNOWN_MEMBERS: ReadonlySet<string> = new Set(['id', 'webPushTokens', ...TRAITS]);
/** Names of members that an answer repeats. */
const IGNORED_MAX = 20;
const IGNORED_LENGTH_MAX = 100;

/** Keeps what a client tells of its user: e-mail and number as attributes, Web Push subscriptions as devices. */
@Injectable()
export class IdentifyUser {
  constructor(
    private readonly attributes: AttributeStore,
    private readonly subscribers: SubscriberStore,
    private readonly devices: ManageDevices,
    private readonly proven: ProvenDevices,
    private readonly clock: Clock,
  ) {}

  /**
   * Everything is checked before anything is kept, the subscriber included; a repeat changes nothing. Without a proof the traits stand
   * beside the verified ones, as protected ones always do.
   * @throws NotificationApiUserMismatchError, PushEndpointNotAllowedError, PushSubscriptionUnprovenError, SubscriberInvalidError, AttributesTooManyError
   */
  async identify(user: WelcomeUser, body: UserBody, userAgent: string | undefined): Promise<NotificationApiUser> {
    if (body.id !== undefined && body.id !== user.externalId) throw new NotificationApiUserMismatchError();
    const traits = await this.readTraits(user, body);
    const subscriptions = (body.webPushTokens ?? []).map(({ sub }) => sub);
    for (const subscription of subscriptions) this.devices.readEndpoint(subscription);
    await this.refuseOtherKeys(user, subscriptions);
    const { environmentId, externalId, grade } = user;
    const parts = partTraits(traits, user);
    const subscriber = await this.subscribers.applyClaim(environmentId, { externalId, grade, at: this.clock.now(), ...parts });
    for (const subscription of subscriptions)
      await this.devices.register({ environmentId, subscriberId: subscriber.id }, subscription, userAgent);
    const ignored = Object.keys(body).filter((name) => !KNOWN_MEMBERS.has(name));
    if (ignored.length === 0) return present(subscriber);
    return { ...present(subscriber), ignored: ignored.slice(0, IGNORED_MAX).map((name) => name.slice(0, IGNORED_LENGTH_MAX)) };
  }

  /** The user as we know them. */
  async read(user: WelcomeUser): Promise<NotificationApiUser | undefined> {
    const subscriber = await this.subscribers.findByExternalId(user.environmentId, user.externalId);
    return subscriber === undefined ? undefined : present(subscriber);
  }

  /** Nobody takes an active device from somebody without its keys; whoever proved nothing is nobody's owner. */
  private async refuseOtherKeys(user: WelcomeUser, subscriptions: readonly PushSubscriptionInput[]): Promise<void> {
    const { environmentId, externalId, verified } = user;
    if (subscriptions.length === 0) return;
    const owner = verified ? await this.subscribers.findByExternalId(environmentId, externalId) : undefined;
    for (const subscription of subscriptions)
      if (isTaking(await this.proven.recognise(environmentId, subscription), owner?.id)) throw new PushSubscriptionUnprovenError();
  }

  /** The traits in the form in which attributes are kept. */
  private async readTraits({ environmentId, externalId }: WelcomeUser, body: UserBody) {
    const attributes = Object.fromEntries(TRAITS.flatMap((name) => (body[name] === undefined ? [] : [[name, body[name]]])));
    if (Object.keys(attributes).length === 0) return {};
    const outcome = toSubscriberPatch({ external_id: externalId, attributes }, await this.attributes.readTypes(environmentId));
    if (!outcome.ok) throw new SubscriberInvalidError(outcome.faults);
    return outcome.patch.attributes ?? {};
  }
}

function present({ externalId, attributes, createdAt, updatedAt }: Subscriber): NotificationApiUser {
  const traits = Object.fromEntries(TRAITS.flatMap((name) => (typeof attributes[name] === 'string' ? [[name, attributes[name]]] : [])));
  return { id: externalId, ...traits, createdAt: createdAt.toISOString(), updatedAt: updatedAt.toISOString() };
}
