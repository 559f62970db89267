import { decodeMessageId, encodeId, encodeMessageId, newUuid } from '#contracts';
import { type Fill, fillFrom } from '../abuse/abuse-request.js';
import { ApiClient } from '../support/api-client.js';
import { CURVE_POINT, RENEWABLE_AUTH } from '../abuse/valid-request.js';
import type { Bait } from './intrusions.js';
import { hashOf, type IsolationFixture, newDevice, type Person } from './isolation-fixture.js';

/** Offsets in a receipt: behind its version and channel stand environment, message and subscriber, 16 bytes each. */
const RECEIPT_MESSAGE_OFFSET = 18;
const RECEIPT_SUBSCRIBER_OFFSET = 34;

/** Somebody who tries to reach the victim, with credentials that are good for somebody else. */
export interface Intruder {
  readonly name: string;
  readonly person: Person;
  /** What the intruder puts into the places of requests. */
  readonly places: ReadonlyMap<string, string>;
}

/** Whom an intruder names, and with which proof; the intruder's own where nothing is said. */
export interface Pretence {
  readonly publicKey?: string;
  /** Whom the request names, as it travels. */
  readonly externalId?: string;
  /** Whose hash the request carries. */
  readonly hashOf?: string;
}

/** An intruder with the credentials of a person. */
export function makeIntruder(name: string, person: Person, pretence: Pretence = {}): Intruder {
  const { tenant } = person;
  const publicKey = pretence.publicKey ?? tenant.publicKey;
  const externalId = pretence.externalId ?? person.externalId;
  const proven = pretence.hashOf ?? person.externalId;
  const places = {
    publicKey,
    subscriber: externalId,
    subscriberHash: hashOf(tenant, proven),
    basic: Buffer.from(`${publicKey}:${proven}:${hashOf(tenant, proven)}`, 'utf8').toString('base64'),
    company: person.companyId,
    companyHash: hashOf(tenant, person.companyId),
    session: person.session,
    message: person.messageIds[0] ?? '',
    receipt: person.receipts[0] ?? '',
    device: person.deviceId,
    sdkFile: 'belfry.js',
    pageFile: 'inbox.js',
  };
  const named = Object.entries(places).flatMap(([place, value]): [string, string][] => [
    [`home.${place}`, value],
    [`fresh.${place}`, value],
  ]);
  return { name, person, places: new Map(named) };
}

/** Fills the places of a request; what a request uses up is made for it. */
export async function fillOf(fixture: IsolationFixture, { person, places }: Intruder, wanted: readonly string[]): Promise<Fill> {
  if (!wanted.includes('fresh.renewable')) return fillFrom(places);
  const device = { endpoint: newDevice().endpoint, keys: { p256dh: CURVE_POINT, auth: RENEWABLE_AUTH } };
  await new ApiClient(fixture.url, person.session).post('/v1/push/subscriptions', { body: device });
  return fillFrom(new Map([...places, ['fresh.renewable', device.endpoint]]));
}

/** Everything by which an intruder may try to name the victim. */
export function baitsFor(victim: Person, { person }: Intruder): Bait[] {
  const [messageId = ''] = victim.messageIds;
  const messageKey = decodeMessageId(messageId)?.messageKey ?? '';
  const cursor = (list: string, uuid: string): string => `${list}_${uuid.replaceAll('-', '')}`;
  const baits: Bait[] = [
    { kind: 'message', value: messageId, nobodys: encodeMessageId(newUuid(), newUuid()) },
    {
      kind: 'message under the own id',
      value: encodeMessageId(messageKey, person.subscriberId),
      nobodys: encodeMessageId(newUuid(), person.subscriberId),
    },
    { kind: 'message key', value: messageKey, nobodys: newUuid() },
    { kind: 'external id', value: victim.externalId, nobodys: 'nobody-9c1e' },
    { kind: 'subscriber id', value: victim.subscriberId, nobodys: newUuid() },
    { kind: 'public subscriber id', value: encodeId('subscriber', victim.subscriberId), nobodys: encodeId('subscriber', newUuid()) },
    { kind: 'company', value: victim.companyId, nobodys: 'company-of-nobody-9c1e' },
    { kind: 'device', value: victim.deviceId, nobodys: encodeId('device', newUuid()) },
    { kind: 'endpoint', value: victim.device.endpoint },
    { kind: 'place in the inbox', value: cursor('inbox-messages', messageKey) },
    { kind: 'place among devices', value: cursor('devices', messageKey) },
    { kind: 'last event', value: victim.eventId },
    {
      kind: 'receipt, forged',
      value: forgeReceipt(person.receipts[0] ?? '', messageKey, victim.subscriberId),
      nobodys: forgeReceipt(person.receipts[0] ?? '', newUuid(), newUuid()),
    },
  ];
  // What a namesake has as well is no bait.
  return baits.filter(({ value }) => value !== person.externalId && value !== person.companyId);
}

/** Session tokens that say they are the victim's, made from one that is not. */
export function forgeSessions({ session }: Person, victim: Person): readonly string[] {
  const [header = '', payload = '', signature = ''] = session.split('.');
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as Record<string, unknown>;
  const forged = encode({ ...claims, sub: victim.subscriberId, ext: victim.externalId });
  const unsigned = encode({ ...(JSON.parse(Buffer.from(header, 'base64url').toString('utf8')) as object), alg: 'none' });
  return [`${header}.${forged}.${signature}`, `${unsigned}.${forged}.`, `${header}.${forged}.`, `${unsigned}.${forged}.${signature}`];
}

/** Ids that a careless server might take for another one. */
export function lookalikesOf(id: string): readonly string[] {
  const ends = ['?', '?x=1', '#', '#x', '/', '/x', '/../x', '/.', '%00', '%2F', '%20', ':', ':x', ';x', ',x', '.', '+', '&'];
  return [...ends.map((end) => `${id}${end}`), `x/../${id}`, `./${id}`, `:${id}`, `+${id}`, id.toUpperCase(), `${id}\u0301`, `\u200B${id}`];
}

function forgeReceipt(receipt: string, messageKey: string, subscriberId: string): string {
  const bytes = Buffer.from(receipt, 'base64url');
  bytes.write(messageKey.replaceAll('-', ''), RECEIPT_MESSAGE_OFFSET, 'hex');
  bytes.write(subscriberId.replaceAll('-', ''), RECEIPT_SUBSCRIBER_OFFSET, 'hex');
  return bytes.toString('base64url');
}

function encode(json: object): string {
  return Buffer.from(JSON.stringify(json), 'utf8').toString('base64url');
}
