import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { encodeId, newUuid } from '#contracts';
import { createTestDatabase, type TestDatabase } from '#testing';
import type { DeadLetter } from '../dead-letter-sink.js';
import { Outbox } from '../outbox/outbox.js';
import { DEAD_LETTER_TRANSITIONS, DeadLetterStore } from './dead-letter.store.js';

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
    const [stored] = await store.list({}, { limit: 1 });
    if (stored === undefined) throw new Error('nothing was stored');
    return stored;
  }

  async function outboxRows() {
    return test.database.query<{ topic: string; key: string; headers: object; value: Buffer }>({
      text: 'SELECT topic, key, headers, value FROM event_log.outbox',
    });
  }

  it('keeps everything about the record and why it failed', async () => {
    const letter = deadLetter(7n);
    const stored = await putAndFind(letter);
    expect(stored).toMatchObject({ ...letter, environmentId: ENVIRONMENT_ID, state: 'waiting', settledAt: undefined });
    expect(await store.find(stored.id)).toEqual(stored);
    expect(await store.find(newUuid())).toBeUndefined();
  });

  it('keeps one dead letter for a record that is put twice, and one per group', async () => {
    await store.put(deadLetter(7n));
    await store.put(deadLetter(7n, { attempts: 9 }));
    await store.put(deadLetter(7n, { group: 'app.other' }));
    expect((await store.list({}, { limit: 10 })).map((each) => [each.group, each.attempts])).toEqual([
      ['app.other', 5],
      ['app.slice', 5],
    ]);
  });

  it('keeps another record that stands at the same offset of a log that was made anew', async () => {
    await store.put(deadLetter(7n));
    await store.put(deadLetter(7n, { value: Buffer.from('another') }));
    expect(await store.list({}, { limit: 10 })).toHaveLength(2);
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
    const first = await store.list({ environmentId: ENVIRONMENT_ID }, { limit: 2 });
    const second = await store.list({ environmentId: ENVIRONMENT_ID }, { limit: 9, after: first[1]?.id ?? '' });
    expect([...first, ...second].map((each) => each.offset)).toEqual([4n, 3n, 2n, 1n, 0n]);
    expect(await store.list({ topic: 'test.other.v1' }, { limit: 9 })).toHaveLength(1);
    expect(await store.list({ environmentId: newUuid() }, { limit: 9 })).toEqual([]);
    expect(await store.list({ state: 'replayed' }, { limit: 9 })).toEqual([]);
    expect(await store.list({ group: 'app.slice', state: 'waiting' }, { limit: 9 })).toHaveLength(6);
  });

  it('replays a record to its topic once, however many ask at the same time', async () => {
    const letter = deadLetter(7n);
    const stored = await putAndFind(letter);
    const answers = await Promise.all(Array.from({ length: 5 }, () => store.replay(stored.id)));
    expect(answers.filter(Boolean)).toHaveLength(1);
    const headers = { ...letter.headers, 'replayed-from': encodeId('deadLetter', stored.id) };
    expect(await outboxRows()).toEqual([{ topic: letter.topic, key: letter.key, headers, value: letter.value }]);
    expect(await store.find(stored.id)).toMatchObject({ state: 'replayed', settledAt: expect.any(Date) });
    expect([await store.replay(stored.id), await store.discard(stored.id)]).toEqual([false, false]);
  });

  it('discards for good', async () => {
    const stored = await putAndFind(deadLetter(7n));
    expect(await store.discard(stored.id)).toBe(true);
    expect([await store.discard(stored.id), await store.replay(stored.id), await store.replay(newUuid())]).toEqual([false, false, false]);
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
