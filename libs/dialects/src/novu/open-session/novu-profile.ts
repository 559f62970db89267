import { isDeepStrictEqual } from 'node:util';
import { Injectable } from '@nestjs/common';
import { Clock } from '#contracts';
import {
  AttributeStore,
  type ClaimedProfile,
  type ClaimGrade,
  type Subscriber,
  type SubscriberPatch,
  SubscriberStore,
  toSubscriberPatch,
} from '#subscribers';
import { WideLogger } from '#telemetry';
import type { Environment } from '#tenancy';
import type { NovuProfile } from './novu-session-body.js';

/** Names under which a client's members are kept as attributes; those of `data` keep theirs. */
const ATTRIBUTE_NAMES = { firstName: 'first_name', lastName: 'last_name', email: 'email', phone: 'phone', avatar: 'avatar' } as const;

/** A person who has proven to be that person, and what the page says besides. */
export interface NovuProfileClaim {
  readonly externalId: string;
  readonly grade: ClaimGrade;
  readonly profile: NovuProfile;
}

/**
 * Keeps what a client tells about a person who has proven to be that person. The hash covers the id alone, so what the environment protects
 * is kept as unverified.
 */
@Injectable()
export class KeepNovuProfile {
  constructor(
    private readonly subscribers: SubscriberStore,
    private readonly attributes: AttributeStore,
    private readonly clock: Clock,
    private readonly logger: WideLogger,
  ) {}

  /**
   * The id of the subscriber, who is created when there is none. Writes only what differs, because a page opens a session each time it is
   * loaded. What cannot be kept (a time zone that is none, an object) is left out: the client would lose its whole inbox by it.
   */
  async run(environment: Environment, { externalId, grade, profile }: NovuProfileClaim): Promise<string> {
    const patch = await this.patchOf(environment.id, externalId, profile);
    const claim = { externalId, grade, at: this.clock.now(), ...part(patch, environment) };
    const present = await this.subscribers.findByExternalId(environment.id, externalId);
    const isTold = present !== undefined && present.verified && isToldOf(claim, present);
    const subscriber = isTold ? present : await this.subscribers.applyClaim(environment.id, claim);
    if (isPlaced(patch, subscriber)) return subscriber.id;
    const { locale, timeZone } = patch;
    return (await this.subscribers.upsert(environment.id, { externalId, locale, timeZone })).subscriber.id;
  }

  private async patchOf(environmentId: string, externalId: string, profile: NovuProfile): Promise<SubscriberPatch> {
    const declared = await this.attributes.readTypes(environmentId);
    const told = Object.entries(attributesOf(profile));
    const input = { external_id: externalId, locale: textOf(profile.locale), time_zone: textOf(profile.timezone) };
    const whole = toSubscriberPatch({ ...input, attributes: Object.fromEntries(told) }, declared);
    if (whole.ok) return whole.patch;
    const faulty = new Set(whole.faults.map(({ pointer }) => pointer));
    this.logger.info('novu.profile.left_out', { environment_id: environmentId, members: faulty.size });
    const rest = toSubscriberPatch(
      {
        external_id: externalId,
        locale: faulty.has('/locale') ? undefined : input.locale,
        time_zone: faulty.has('/time_zone') ? undefined : input.time_zone,
        attributes: faulty.has('/attributes') ? {} : Object.fromEntries(told.filter(([name]) => !faulty.has(pointerOf(name)))),
      },
      declared,
    );
    return rest.ok ? rest.patch : { externalId };
  }
}

/** Every attribute that is told of; the members that have a name of their own win over `data`. */
function attributesOf({ data, ...members }: NovuProfile): Record<string, unknown> {
  const told = Object.entries(data ?? {}).filter(([, value]) => value !== null && value !== undefined);
  const named = Object.entries(ATTRIBUTE_NAMES).flatMap(([member, name]) => {
    const text = textOf(members[member as keyof typeof ATTRIBUTE_NAMES]);
    return text === undefined ? [] : [[name, text] as const];
  });
  return Object.fromEntries([...told, ...named]);
}

function textOf(value: string | null | undefined): string | undefined {
  return value === null || value === '' ? undefined : value;
}

function part({ attributes = {} }: SubscriberPatch, { protectedTraits }: Environment): Pick<ClaimedProfile, 'verified' | 'unverified'> {
  const isProtected = ([name]: readonly [string, unknown]) => protectedTraits.includes(name);
  const entries = Object.entries(attributes);
  return {
    verified: Object.fromEntries(entries.filter((entry) => !isProtected(entry))),
    unverified: Object.fromEntries(entries.filter(isProtected)),
  };
}

function isToldOf({ verified, unverified }: ClaimedProfile, { attributes, unverifiedAttributes }: Subscriber): boolean {
  return (
    Object.entries(verified).every(([name, value]) => isDeepStrictEqual(attributes[name], value)) &&
    Object.entries(unverified).every(([name, value]) => isDeepStrictEqual(unverifiedAttributes[name]?.value, value))
  );
}

function isPlaced({ locale, timeZone }: SubscriberPatch, present: Subscriber): boolean {
  return (locale === undefined || locale === present.locale) && (timeZone === undefined || timeZone === present.timeZone);
}

/** One attribute in a JSON pointer (RFC 6901). */
function pointerOf(name: string): string {
  return `/attributes/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
}
