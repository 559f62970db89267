import { propagation } from '@opentelemetry/api';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { RECORD_VALUE_BYTES_MAX } from '#contracts';
import { createTestDatabase, type TestDatabase, waitFor } from '#testing';
import { RecordTooLargeError } from '../event-log.errors.js';
import { appendEvents, numberedEvents, numberedTopic, outboxDepth } from './outbox-fixture.js';
import { Outbox } from './outbox.js';
import { OUTBOX_CHANNEL, OUTBOX_LANES } from './outbox.store.js';

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const BULK = numberedTopic('test.bulk.numbered.v1');
const URGENT = numberedTopic('test.urgent.numbered.v1', 'urgent');

interface StoredRow {
  readonly lane: string;
  readonly topic: string;
  readonly key: string;
  readonly headers: object | null;
  readonly value: Buffer;
}

describe('outbox', () => {
  let test: TestDatabase;
  let outbox: Outbox;

  beforeAll(async () => {
    test = await createTestDatabase();
  });
  beforeEach(async () => {
    outbox = new Outbox(test.database);
    await test.database.execute({ text: 'TRUNCATE event_log.outbox' });
  });
  afterAll(() => test.close());

  function storedRows(): Promise<StoredRow[]> {
    return test.database.query<StoredRow>({ text: 'SELECT lane, topic, key, headers, value FROM event_log.outbox ORDER BY outbox_id' });
  }

  it('keeps events as JSON, in their order, on the lane of their topic', async () => {
    await test.database.transaction(async (tx) => {
      await outbox.append(BULK, numberedEvents('ä"\\', 3), tx);
      await outbox.append(URGENT, numberedEvents('b', 1), tx);
      await outbox.append(BULK, [], tx);
    });
    const rows = await storedRows();
    expect(rows.map(({ lane, topic, key, headers }) => [lane, topic, key, headers])).toEqual([
      ['bulk', BULK.topic, 'ä"\\', null],
      ['bulk', BULK.topic, 'ä"\\', null],
      ['bulk', BULK.topic, 'ä"\\', null],
      ['urgent', URGENT.topic, 'b', null],
    ]);
    expect(rows.map((row) => (JSON.parse(row.value.toString('utf8')) as { n: number }).n)).toEqual([0, 1, 2, 0]);
  });

  it('keeps nothing of a transaction that was rolled back, and wakes nobody', async () => {
    const woken: string[] = [];
    outbox.onRows((lane) => woken.push(lane));
    const failing = test.database.transaction(async (tx) => {
      await outbox.append(BULK, numberedEvents('a', 3), tx);
      throw new Error('changed my mind');
    });
    await expect(failing).rejects.toThrow('changed my mind');
    expect([await outboxDepth(test.database), woken]).toEqual([0, []]);
  });

  it('wakes the relay of this process after the commit, not before', async () => {
    const woken: string[] = [];
    outbox.onRows((lane) => woken.push(lane));
    await test.database.transaction(async (tx) => {
      await outbox.append(URGENT, numberedEvents('a', 1), tx);
      expect(woken).toEqual([]);
    });
    expect(woken).toEqual(['urgent']);
  });

  it('notifies the relays of other processes when this one has none', async () => {
    const heard: string[] = [];
    const stop = await test.database.listen(OUTBOX_CHANNEL, (lane) => heard.push(lane));
    const end = outbox.onRows(() => undefined);
    await appendEvents(test.database, outbox, BULK, numberedEvents('a', 1));
    end();
    await appendEvents(test.database, outbox, URGENT, numberedEvents('a', 1));
    await waitFor(() => heard.length > 0);
    expect(heard).toEqual(['urgent']);
    await stop();
  });

  it('carries the trace that is active when an event is appended', async () => {
    propagation.setGlobalPropagator({
      inject: (_context, carrier, setter) => setter.set(carrier, 'traceparent', TRACEPARENT),
      extract: (context) => context,
      fields: () => ['traceparent'],
    });
    try {
      await appendEvents(test.database, outbox, BULK, numberedEvents('a', 1));
    } finally {
      propagation.disable();
    }
    expect((await storedRows()).map((row) => row.headers)).toEqual([{ traceparent: TRACEPARENT }]);
  });

  it('refuses an event that no log would take, and names its topic and size', async () => {
    const padding = 'x'.repeat(RECORD_VALUE_BYTES_MAX);
    const appended = appendEvents(test.database, outbox, BULK, [...numberedEvents('a', 2), { key: 'a', n: 2, padding }]);
    await expect(appended).rejects.toThrow(RecordTooLargeError);
    await expect(appended).rejects.toThrow(/test\.bulk\.numbered\.v1 has 900\d\d\d bytes, the limit is 900000/);
    expect(await outboxDepth(test.database)).toBe(0);
  });

  it('takes any number of events in one append', async () => {
    await appendEvents(test.database, outbox, BULK, numberedEvents('a', 2_500));
    const rows = await storedRows();
    expect(rows.map((row) => (JSON.parse(row.value.toString('utf8')) as { n: number }).n)).toEqual(
      numberedEvents('a', 2_500).map((event) => event.n),
    );
  });

  it('has in its check constraint exactly the lanes of the code', async () => {
    const [row] = await test.database.query<{ definition: string }>({
      text: `SELECT pg_get_constraintdef(oid) AS definition FROM pg_constraint WHERE conname = 'outbox_lane'`,
    });
    const lanes = [...(row?.definition ?? '').matchAll(/'(\w+)'::text/g)].map(([, lane]) => lane);
    expect(new Set(lanes)).toEqual(new Set(OUTBOX_LANES));
  });
});
