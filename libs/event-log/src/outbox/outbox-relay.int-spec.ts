import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { Database, DatabaseUnavailableError, SILENT_LOG } from '#database';
import { createTestDatabase, type TestDatabase, waitFor } from '#testing';
import { Gate } from '../conformance/harness.js';
import { RecordingEventLog } from '../testing/recording-event-log.js';
import { appendEvents, numberedEvents, numberedTopic, outboxDepth } from './outbox-fixture.js';
import { OutboxRelay } from './outbox-relay.js';
import { Outbox, recordsOf } from './outbox.js';
import { OUTBOX_CHANNEL } from './outbox.store.js';

const ONE = numberedTopic('test.one.numbered.v1');
const TWO = numberedTopic('test.two.numbered.v1');
const URGENT = numberedTopic('test.urgent.numbered.v1', 'urgent');
/** Longer than any test: what arrives was announced. */
const POLL_NEVER_MS = 600_000;
const BACKLOG_ROWS = 3_000;

describe('outbox-relay', () => {
  let test: TestDatabase;
  let log: RecordingEventLog;
  let outbox: Outbox;
  let relays: OutboxRelay[] = [];

  beforeAll(async () => {
    test = await createTestDatabase();
  });
  beforeEach(async () => {
    log = new RecordingEventLog();
    outbox = new Outbox(test.database);
    await test.database.execute({ text: 'TRUNCATE event_log.outbox' });
  });
  afterEach(async () => {
    await Promise.all(relays.map((relay) => relay.stop()));
    relays = [];
  });
  afterAll(() => test.close());

  async function startRelay(parts: { pollMs?: number; outbox?: Outbox; database?: Database } = {}): Promise<OutboxRelay> {
    const relay = new OutboxRelay({ database: test.database, eventLog: log, outbox, log: SILENT_LOG, pollMs: POLL_NEVER_MS, ...parts });
    relays.push(relay);
    await relay.start();
    return relay;
  }

  const append = (contract: typeof ONE, key: string, count: number, first = 0) =>
    appendEvents(test.database, outbox, contract, numberedEvents(key, count, first));
  const isEmpty = () => waitFor(async () => (await outboxDepth(test.database)) === 0, { what: 'an empty outbox' });
  const numbersOf = (topic: string): number[] => log.textsOf(topic).map((text) => (JSON.parse(text) as { n: number }).n);
  const upTo = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

  it('appends committed rows by topic, in order, with key and headers, and deletes them', async () => {
    await test.database.transaction((tx) =>
      outbox.appendRecords(
        [{ topic: ONE.topic, lane: 'bulk', key: 'k', value: Buffer.from('{"n":0}'), headers: { traceparent: '00-1' } }],
        tx,
      ),
    );
    await append(ONE, 'k', 5, 1);
    await append(TWO, 'k', 3);
    await startRelay();
    await isEmpty();
    expect([numbersOf(ONE.topic), numbersOf(TWO.topic)]).toEqual([upTo(6), upTo(3)]);
    const [first] = log.appends.find(({ topic }) => topic === ONE.topic)?.records ?? [];
    expect(first).toMatchObject({ key: 'k', headers: { traceparent: '00-1' } });
  });

  it('appends records of several topics and lanes that were added by one statement', async () => {
    await startRelay();
    const records = [...recordsOf(ONE, numberedEvents('k', 2)), ...recordsOf(URGENT, numberedEvents('k', 1))];
    await test.database.transaction((tx) => outbox.appendRecords(records, tx));
    await isEmpty();
    expect([numbersOf(ONE.topic), numbersOf(URGENT.topic)]).toEqual([upTo(2), upTo(1)]);
  });

  it('appends rows of this process without waiting for a poll', async () => {
    await startRelay();
    for (let round = 0; round < 3; round += 1) {
      await append(URGENT, 'k', 1, round);
      await waitFor(() => numbersOf(URGENT.topic).length === round + 1);
    }
    await isEmpty();
    expect(numbersOf(URGENT.topic)).toEqual([0, 1, 2]);
  });

  it('appends rows of a process without a relay, woken by its notification', async () => {
    await startRelay();
    await appendEvents(test.database, new Outbox(test.database), ONE, numberedEvents('k', 2));
    await isEmpty();
    expect(numbersOf(ONE.topic)).toEqual([0, 1]);
  });

  it('finds rows that nobody announced', async () => {
    await startRelay({ pollMs: 50 });
    await test.database.execute({
      text: `INSERT INTO event_log.outbox (lane, bucket, topic, key, value) VALUES ('bulk', 3, $1, 'k', '{"n":0}')`,
      values: [ONE.topic],
    });
    await isEmpty();
    expect(numbersOf(ONE.topic)).toEqual([0]);
  });

  it('does not skip rows that were committed after rows with higher numbers', async () => {
    await startRelay();
    await test.database.transaction(async (late) => {
      await outbox.append(ONE, numberedEvents('late', 2), late);
      await append(ONE, 'early', 2);
      await waitFor(() => numbersOf(ONE.topic).length === 2);
    });
    await isEmpty();
    expect(log.textsOf(ONE.topic).map((text) => (JSON.parse(text) as { key: string }).key)).toEqual(['early', 'early', 'late', 'late']);
  });

  it('does not let an urgent row wait behind a bulk backlog', async () => {
    const gate = new Gate();
    log.beforeAppend = (topic) => (topic === ONE.topic ? gate.opened : undefined);
    await append(ONE, 'k', BACKLOG_ROWS);
    await startRelay();
    await append(URGENT, 'k', 1);
    await waitFor(() => numbersOf(URGENT.topic).length === 1);
    expect(numbersOf(ONE.topic)).toEqual([]);
    gate.open();
    await isEmpty();
    expect(numbersOf(ONE.topic)).toEqual(upTo(BACKLOG_ROWS));
  });

  it('keeps rows while their topic cannot be appended to; other topics go on', async () => {
    let down = true;
    log.beforeAppend = (topic) => {
      if (down && topic === ONE.topic) throw new Error('no leader');
    };
    await append(ONE, 'k', BACKLOG_ROWS);
    await append(TWO, 'k', 5);
    const relay = await startRelay();
    await waitFor(() => numbersOf(TWO.topic).length === 5);
    await waitFor(async () => (await outboxDepth(test.database)) === BACKLOG_ROWS);
    const [urgent, bulk] = await relay.stats();
    expect(urgent).toEqual({ lane: 'urgent', depth: 0, oldestAgeSeconds: expect.closeTo(0, 0) as number });
    expect(bulk).toMatchObject({ lane: 'bulk', depth: BACKLOG_ROWS });
    expect(bulk?.oldestAgeSeconds).toBeGreaterThan(0);
    down = false;
    await isEmpty();
    expect(numbersOf(ONE.topic)).toEqual(upTo(BACKLOG_ROWS));
  });

  it('bounds the bytes of one append', async () => {
    const padding = 'x'.repeat(800_000);
    await appendEvents(
      test.database,
      outbox,
      ONE,
      upTo(16).map((n) => ({ key: 'k', n, padding })),
    );
    await startRelay();
    await isEmpty();
    expect(numbersOf(ONE.topic)).toEqual(upTo(16));
    expect(Math.max(...log.appends.map(({ records }) => records.length))).toBe(6);
  });

  it('appends again, in the same order, what was appended but not committed', async () => {
    const own = await Database.open({ url: test.url, applicationName: 'belfry doomed relay' });
    let kills = 1;
    log.afterAppend = async () => {
      if (kills === 0) return;
      kills -= 1;
      await test.database.query({
        text: `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'belfry doomed relay'`,
      });
    };
    await append(ONE, 'k', 10);
    await startRelay({ database: own });
    await isEmpty();
    expect(numbersOf(ONE.topic)).toEqual([...upTo(10), ...upTo(10)]);
    await relays[0]?.stop();
    await own.close();
  });

  it('can be started again when Postgres was away', async () => {
    vi.spyOn(test.database, 'listen').mockRejectedValueOnce(new DatabaseUnavailableError('away'));
    const relay = new OutboxRelay({ database: test.database, eventLog: log, outbox, log: SILENT_LOG, pollMs: POLL_NEVER_MS });
    relays.push(relay);
    await expect(relay.start()).rejects.toThrow(DatabaseUnavailableError);
    await relay.start();
    await append(ONE, 'k', 2);
    await isEmpty();
    await expect(relay.start()).rejects.toThrow('A relay starts once');
  });

  it('relays nothing when it is stopped while it starts', async () => {
    const stopListening = vi.fn<() => Promise<void>>(async () => undefined);
    const gate = new Gate();
    vi.spyOn(test.database, 'listen').mockImplementationOnce(async () => {
      await gate.opened;
      return stopListening;
    });
    const relay = new OutboxRelay({ database: test.database, eventLog: log, outbox, log: SILENT_LOG, pollMs: POLL_NEVER_MS });
    const starting = relay.start();
    await relay.stop();
    gate.open();
    await starting;
    expect(stopListening).toHaveBeenCalledOnce();
    await append(ONE, 'k', 1);
    expect(await outboxDepth(test.database)).toBe(1);
    expect(log.appends).toEqual([]);
  });

  it('finishes the claim at work when it is stopped, and begins no other', async () => {
    const [started, release] = [new Gate(), new Gate()];
    log.beforeAppend = () => {
      started.open();
      return release.opened;
    };
    await append(ONE, 'k', 3);
    const relay = await startRelay();
    await started.opened;
    await append(ONE, 'k', 3, 3);
    const stopped = relay.stop();
    release.open();
    await stopped;
    expect([numbersOf(ONE.topic), await outboxDepth(test.database)]).toEqual([upTo(3), 3]);
    await append(ONE, 'k', 1, 6);
    expect(await outboxDepth(test.database)).toBe(4);
  });

  it.each([
    ['of a backlog', BACKLOG_ROWS, 0],
    ['that were committed during its claim', 1, 1],
  ])('announces the rows %s that it leaves when it is stopped to the relays of other processes', async (_, before, during) => {
    const announced: string[] = [];
    const [started, release] = [new Gate(), new Gate()];
    log.beforeAppend = () => {
      started.open();
      return release.opened;
    };
    const relay = await startRelay();
    const stopListening = await test.database.listen(OUTBOX_CHANNEL, (lane) => announced.push(lane));
    await append(ONE, 'k', before);
    await started.opened;
    await append(ONE, 'k', during, before);
    const stopped = relay.stop();
    release.open();
    await stopped;
    expect(await outboxDepth(test.database)).toBeGreaterThan(0);
    await waitFor(() => announced.includes('bulk'));
    await stopListening();
    await startRelay();
    await isEmpty();
    expect(numbersOf(ONE.topic)).toEqual(upTo(before + during));
  });
});
