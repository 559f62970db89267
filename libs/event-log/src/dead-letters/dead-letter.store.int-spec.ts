import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { encodeId, inboxDeliveryRequestedUrgentV1, newUuid, RECORD_VALUE_BYTES_MAX } from '#contracts';
import { createTestDatabase, type TestDatabase } from '#testing';
import type { DeadLetter } from '../dead-letter-sink.js';
import { Outbox } from '../outbox/outbox.js';
import { DEAD_LETTER_TRANSITIONS, type DeadLetterFilter, DeadLetterStore, EVERY_ENVIRONMENT } from './dead-letter.store.js';

const ENVIRONMENT_ID = newUuid();

function deadLetter(offset: bigint, changes: Partial<DeadLetter> = {}): DeadLetter {
  return {
    group: 'app.slice',
    topic: 'test.record.appended.v1',
    partition: 2,
    offset,
    key: `key-${offset}`,
    headers: { traceparent: '00-1-2-01' },
    value: Buffer.from(JSON.stringify({ environment_id: ENVIRONMENT_ID, offset: Number(offset) })),
    appendedAt: new Date('2026-11-22T10:00:00.123Z'),
    reasonCode: 'content_broken',
    reasonMessage: 'the content is broken',
    attempts: 5,
    ...changes,
  };
}

describe('dead-letter.store', () => {
  let test: TestDatabase;
  let store: DeadLetterStore;

  beforeAll(async () => {
    test = await createTestDatabase();
    store = new DeadLetterStore(test.database, new Outbox(test.database));
  });
  beforeEach(() => test.database.execute({ text: 'TRUNCATE event_log.dead_letter, event_log.outbox' }));
  afterAll(() => test.close());

  async function putAndFind(letter: DeadLetter) {
    await store.put(letter);
    for (const { id } of await store.list(EVERY_ENVIRONMENT, {}, { limit: 10 })) {
      const stored = await store.find(EVERY_ENVIRONMENT, id);
      if (stored?.offset === letter.offset && stored.value.equals(letter.value)) return stored;
    }
    throw new Error('nothing was stored');
  }

  async function outboxRows() {
    return test.database.query<{ lane: string; topic: string; key: string; headers: object; value: Buffer }>({
      text: 'SELECT lane, topic, key, headers, value FROM event_log.outbox',
    });
  }

  it('keeps everything about the record and why it failed', async () => {
    const letter = deadLetter(7n);
    const stored = await putAndFind(letter);
    expect(stored).toMatchObject({ ...letter, environmentId: ENVIRONMENT_ID, state: 'waiting', settledAt: undefined });
    const { headers: _headers, value, ...summary } = stored;
    expect(await store.list(EVERY_ENVIRONMENT, {}, { limit: 9 })).toEqual([{ ...summary, valueBytes: value.length }]);
    expect(await store.find(EVERY_ENVIRONMENT, newUuid())).toBeUndefined();
  });

  it('keeps one dead letter for a record that is put twice, and one per group', async () => {
    await store.put(deadLetter(7n));
    await store.put(deadLetter(7n, { attempts: 9 }));
    await store.put(deadLetter(7n, { group: 'app.other' }));
    const letters = await store.list(EVERY_ENVIRONMENT, {}, { limit: 10 });
    expect(new Map(letters.map((each) => [each.group, each.attempts]))).toEqual(
      new Map([
        ['app.other', 5],
        ['app.slice', 5],
      ]),
    );
    expect(letters).toHaveLength(2);
  });

  it('keeps another record that stands at the same offset of a log that was made anew', async () => {
    await store.put(deadLetter(7n));
    await store.put(deadLetter(7n, { value: Buffer.from('another') }));
    expect(await store.list(EVERY_ENVIRONMENT, {}, { limit: 10 })).toHaveLength(2);
  });

  it('takes records that no text column can hold', async () => {
    const letter = deadLetter(8n, {
      key: 'a\0b',
      value: Buffer.from([0, 255]),
      headers: { broken: 'x\0y\ud800' },
      reasonMessage: `bad \0 ${'x'.repeat(5_000)}`,
      reasonCode: 'record_undecodable',
      attempts: 0,
    });
    const stored = await putAndFind(letter);
    expect(stored).toMatchObject({ key: 'a\uFFFDb', value: letter.value, headers: letter.headers, environmentId: undefined });
    expect(stored.reasonMessage).toHaveLength(2_000);
  });

  it('names no environment where the record has none that is a UUID', async () => {
    for (const value of ['null', '[]', '{"environment_id":1}', '{"environment_id":"x"}', '"text"']) {
      expect((await putAndFind(deadLetter(9n, { value: Buffer.from(value) }))).environmentId).toBeUndefined();
    }
  });

  it('lists newest first, by page and by filter', async () => {
    for (let offset = 0n; offset < 5n; offset += 1n) await store.put(deadLetter(offset));
    await store.put(deadLetter(9n, { topic: 'test.other.v1', value: Buffer.from('{}') }));
    const first = await store.list(ENVIRONMENT_ID, {}, { limit: 2 });
    const second = await store.list(ENVIRONMENT_ID, {}, { limit: 9, after: first[1]?.id });
    const ids = [...first, ...second].map(({ id }) => id);
    expect(ids).toEqual([...ids].sort().toReversed());
    expect([...first, ...second].map(({ offset }) => Number(offset)).sort()).toEqual([0, 1, 2, 3, 4]);
    const count = async (filter: DeadLetterFilter) => (await store.list(EVERY_ENVIRONMENT, filter, { limit: 9 })).length;
    expect(await count({ topic: 'test.other.v1' })).toBe(1);
    expect([await count({ state: 'waiting' }), await count({ state: 'replayed' })]).toEqual([6, 0]);
    expect([await count({ group: 'app.slice' }), await count({ group: 'app.other' })]).toEqual([6, 0]);
    expect([await count({ reasonCode: 'content_broken' }), await count({ reasonCode: 'x' })]).toEqual([6, 0]);
  });

  it('keeps environments apart, and what belongs to none from all of them', async () => {
    const [own, nobodys] = [await putAndFind(deadLetter(1n)), await putAndFind(deadLetter(2n, { value: Buffer.from('?') }))];
    for (const [scope, id] of [[newUuid(), own.id] as const, [ENVIRONMENT_ID, nobodys.id] as const]) {
      expect(await store.find(scope, id)).toBeUndefined();
      expect([await store.replay(scope, id), await store.discard(scope, id)]).toEqual([false, false]);
    }
    expect(await store.list(newUuid(), {}, { limit: 9 })).toEqual([]);
    expect((await store.list(EVERY_ENVIRONMENT, { state: 'waiting' }, { limit: 9 })).map(({ id }) => id).sort()).toEqual(
      [own.id, nobodys.id].sort(),
    );
    expect(await outboxRows()).toEqual([]);
  });

  it('replays a record to its topic once, for its group, however many ask at the same time', async () => {
    const letter = deadLetter(7n);
    const { id } = await putAndFind(letter);
    const answers = await Promise.all(Array.from({ length: 5 }, () => store.replay(ENVIRONMENT_ID, id)));
    expect(answers.filter(Boolean)).toHaveLength(1);
    const headers = { ...letter.headers, 'replayed-from': encodeId('deadLetter', id), 'replayed-for': letter.group };
    expect(await outboxRows()).toEqual([{ lane: 'bulk', topic: letter.topic, key: letter.key, headers, value: letter.value }]);
    expect(await store.find(ENVIRONMENT_ID, id)).toMatchObject({ state: 'replayed', settledAt: expect.any(Date) });
    expect([await store.replay(ENVIRONMENT_ID, id), await store.discard(ENVIRONMENT_ID, id)]).toEqual([false, false]);
  });

  it('replays an urgent record on its lane', async () => {
    const { id } = await putAndFind(deadLetter(7n, { topic: inboxDeliveryRequestedUrgentV1.topic }));
    expect(await store.replay(ENVIRONMENT_ID, id)).toBe(true);
    expect(await outboxRows()).toMatchObject([{ lane: 'urgent' }]);
  });

  it('keeps a record waiting that is too large for the log', async () => {
    const { id } = await putAndFind(deadLetter(7n, { value: Buffer.alloc(RECORD_VALUE_BYTES_MAX + 1, 32) }));
    await expect(store.replay(EVERY_ENVIRONMENT, id)).rejects.toMatchObject({ facts: { code: 'record_too_large' } });
    expect(await store.find(EVERY_ENVIRONMENT, id)).toMatchObject({ state: 'waiting' });
  });

  it('discards for good', async () => {
    const stored = await putAndFind(deadLetter(7n));
    expect(await store.discard(ENVIRONMENT_ID, stored.id)).toBe(true);
    expect(await store.discard(ENVIRONMENT_ID, stored.id)).toBe(false);
    for (const id of [stored.id, newUuid()]) expect(await store.replay(ENVIRONMENT_ID, id)).toBe(false);
    expect(await outboxRows()).toEqual([]);
  });

  it('has in its check constraint exactly the states of the code', async () => {
    const [row] = await test.database.query<{ definition: string }>({
      text: `SELECT pg_get_constraintdef(oid) AS definition FROM pg_constraint WHERE conname = 'dead_letter_state'`,
    });
    const states = [...(row?.definition ?? '').matchAll(/'(\w+)'::text/g)].map(([, state]) => state);
    expect(states).toEqual(Object.keys(DEAD_LETTER_TRANSITIONS));
  });
});
