import { CHUNK_COUNT_MAX, newUuid, type TopicContract, TOPICS } from '#contracts';

const LONG_TEXT_CHARACTERS = 850_000;
const MANY_ITEMS = 100_000;
const DEEP_LEVELS = 200_000;

/** What a well-formed record names: a run, its chunk, a subscriber. */
export interface Subjects {
  readonly environmentId: string;
  readonly runId: string;
  readonly messageKey: string;
  readonly subscriberId: string;
  readonly contentId: string;
}

/** Subjects that exist nowhere. */
export function unknownSubjects(environmentId: string): Subjects {
  return { environmentId, runId: newUuid(), messageKey: newUuid(), subscriberId: newUuid(), contentId: newUuid() };
}

/** An event that fits the contract of a topic, whether its subjects exist or not. */
export function wellFormedEvent(topic: string, subjects: Subjects): Record<string, unknown> {
  const {
    environmentId: environment_id,
    runId: run_id,
    messageKey: message_key,
    subscriberId: subscriber_id,
    contentId: content_id,
  } = subjects;
  const requested = { environment_id, message_key, content_id, expires_at: '2099-01-01T00:00:00.000Z', recipient_ids: [subscriber_id] };
  switch (topic) {
    case 'campaign.run.triggered.v1':
      return { environment_id, run_id };
    case 'campaign.chunk.planned.v1':
      return { environment_id, run_id, chunk_no: 0 };
    case 'inbox.delivery.requested.v1':
    case 'inbox.delivery.requested.urgent.v1':
    case 'push.delivery.requested.v1':
    case 'push.delivery.requested.urgent.v1':
      return { ...requested, chunk: { run_id, chunk_no: 0 } };
    case 'campaign.delivery.settled.v1':
      return { environment_id, run_id, chunk_no: 0, channel: 'inbox', delivered: 1, failed: {}, expired: 0, cancelled: 0, pending: 0 };
    case 'inbox.message.delivered.v1':
      return { environment_id, message_key, first_recipient_id: subscriber_id, last_recipient_id: subscriber_id };
    case 'inbox.message.changed.v1':
      return { environment_id, subscriber_id, message_key };
    case 'engagement.recorded.v1':
      return { environment_id, message_key, subscriber_id, channel: 'inbox', kind: 'clicked', occurred_at: '2026-11-22T10:00:00.000Z' };
    default:
      throw new Error(`Nobody said what a record of ${topic} looks like: add it here.`);
  }
}

/** Values that no record of a topic may have, by what is wrong with them. */
export function badValues({ topic }: TopicContract<never>): ReadonlyMap<string, Buffer> {
  const event = wellFormedEvent(topic, unknownSubjects(newUuid()));
  const text = JSON.stringify(event);
  const names = Object.keys(event);
  const values: [string, unknown][] = [
    ['empty, as a tombstone', Buffer.alloc(0)],
    ['not JSON', Buffer.from('not json')],
    ['truncated', Buffer.from(text.slice(0, -2))],
    ['two documents', Buffer.from(text + text)],
    ['not UTF-8', Buffer.concat([Buffer.from('{"environment_id":"'), Buffer.from([0xff, 0xfe, 0xc0, 0x80]), Buffer.from('"}')])],
    ['UTF-16', Buffer.from(text, 'utf16le')],
    ['another format', Buffer.from([0, 0, 0, 0, 1, 2, 72, 101, 108, 108, 111])],
    ['null', null],
    ['a list', [event]],
    ['a text', text],
    ['a number', 1],
    ['an empty object', {}],
    ['another version', { version: 2, data: event }],
    ['members in another case', Object.fromEntries(Object.entries(event).map(([name, value]) => [name.replaceAll('_', ''), value]))],
    ['a poisoned prototype', Buffer.from(`{"__proto__":${text}}`)],
    ['an environment that is no id', { ...event, environment_id: `${'x'.repeat(35)}\u0000` }],
    ['a number beyond all bounds', Buffer.from(JSON.stringify({ ...event, environment_id: 0 }).replace(':0', ':1e999'))],
    ['a chunk beyond all bounds', { ...event, chunk_no: CHUNK_COUNT_MAX + 1, chunk: { run_id: 'x', chunk_no: -1 }, environment_id: null }],
    ['a long text', { ...event, environment_id: 'x'.repeat(LONG_TEXT_CHARACTERS) }],
    ['many items', { ...event, environment_id: 1, recipient_ids: Array.from({ length: MANY_ITEMS }, () => 'a') }],
    [
      'many members',
      { ...event, environment_id: 1, failed: Object.fromEntries(Array.from({ length: MANY_ITEMS / 2 }, (_, index) => [`k${index}`, -1])) },
    ],
    ['deep nesting', Buffer.from(`{"environment_id":${'['.repeat(DEEP_LEVELS)}${']'.repeat(DEEP_LEVELS)}}`)],
    ...names
      .filter((name) => name !== 'message_key' || !topic.includes('changed'))
      .map((name): [string, unknown] => [`without ${name}`, without(event, name)])
      .filter(([, value]) => !('chunk' in event) || JSON.stringify(value).includes('chunk')),
    ...names.map((name): [string, unknown] => [`${name} of another type`, { ...event, [name]: [{ nested: true }] }]),
  ];
  return new Map(values.map(([what, value]) => [what, Buffer.isBuffer(value) ? value : Buffer.from(JSON.stringify(value))]));
}

/** Every topic with its bad values. */
export const BAD_RECORDS: ReadonlyMap<string, ReadonlyMap<string, Buffer>> = new Map(
  TOPICS.map((contract) => [contract.topic, badValues(contract)]),
);

function without(event: Record<string, unknown>, left: string): Record<string, unknown> {
  return Object.fromEntries(Object.entries(event).filter(([name]) => name !== left));
}
