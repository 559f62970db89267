/**
 * Guarantee: whatever is committed to the outbox reaches the event log, rows of one topic and key in the order of their insertion, with
 * any number of relays at once: exactly once while nothing fails; at least once, still in order, while appends fail before and after they
 * took effect and connections of relays are cut at any moment.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Database, SILENT_LOG } from '#database';
import { createTestDatabase, type TestDatabase, waitFor } from '#testing';
import { RecordingEventLog } from '../testing/recording-event-log.js';
import { appendEvents, numberedEvents, numberedTopic, outboxDepth, type NumberedEvent } from './outbox-fixture.js';
import { OutboxRelay } from './outbox-relay.js';
import { Outbox } from './outbox.js';

const TOPICS = [numberedTopic('test.first.numbered.v1'), numberedTopic('test.second.numbered.v1', 'urgent')];
const KEYS = Array.from({ length: 12 }, (_, index) => `key-${index}`);
const RELAYS = 3;
const ROUNDS = 25;
const EVENTS_PER_APPEND = 5;
const ALL_NUMBERS = Array.from({ length: ROUNDS * EVENTS_PER_APPEND }, (_, n) => n);
const APPEND_DELAY_MS_MAX = 8;
const FAULT_SHARE = 0.05;
const KILL_EVERY_MS = 40;

describe('outbox-relay guarantee', () => {
  let test: TestDatabase;

  beforeAll(async () => {
    test = await createTestDatabase({ poolConnectionsMax: 20 });
  });
  afterAll(() => test.close());

  it('appends each row once and in order, with several relays at once', async () => {
    const log = new RecordingEventLog();
    log.beforeAppend = () => pause();
    log.afterAppend = () => pause();
    const relays = await Promise.all(Array.from({ length: RELAYS }, () => startRelay(log)));
    await writeAll();
    await Promise.all(relays.map((relay) => relay.stop()));
    forEachKey(log, (numbers) => expect(numbers).toEqual(ALL_NUMBERS));
  });

  it('keeps the order of each key and loses nothing, while appends fail and connections are cut', async () => {
    const log = new RecordingEventLog();
    log.beforeAppend = () => disturb();
    log.afterAppend = () => disturb();
    const relays = await Promise.all(Array.from({ length: RELAYS }, () => startRelay(log)));
    const chaos = cutConnections();
    await writeAll();
    const kills = await chaos.stop();
    await Promise.all(relays.map((relay) => relay.stop()));
    expect(kills).toBeGreaterThan(3);
    forEachKey(log, (numbers) => expect([...new Set(numbers)]).toEqual(ALL_NUMBERS));
  });

  /** Writes all keys beside each other, and waits until everything is relayed. */
  async function writeAll(): Promise<void> {
    await Promise.all(KEYS.map((key) => writeInOrder(key)));
    await waitFor(async () => (await outboxDepth(test.database)) === 0, { what: 'an empty outbox', timeoutMs: 50_000 });
  }

  /** Hands over the numbers of each key of each topic, in the order in which the log got them. */
  function forEachKey(log: RecordingEventLog, check: (numbers: readonly number[]) => void): void {
    for (const { topic } of TOPICS) {
      const events = log.textsOf(topic).map((text) => JSON.parse(text) as NumberedEvent);
      for (const key of KEYS) check(events.filter((event) => event.key === key).map((event) => event.n));
    }
  }

  /** The next append of a key begins after the former was committed, as work under a row lock does. */
  async function writeInOrder(key: string): Promise<void> {
    const outbox = new Outbox(test.database);
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const contract of TOPICS) {
        await appendEvents(test.database, outbox, contract, numberedEvents(key, EVENTS_PER_APPEND, round * EVENTS_PER_APPEND));
      }
    }
  }

  async function startRelay(eventLog: RecordingEventLog): Promise<{ stop(): Promise<void> }> {
    const database = await Database.open({ url: test.url, applicationName: 'belfry chaos relay', poolConnectionsMax: 4 });
    const relay = new OutboxRelay({ database, eventLog, outbox: new Outbox(database), log: SILENT_LOG, pollMs: 100 });
    await relay.start();
    return {
      stop: async () => {
        await relay.stop();
        await database.close();
      },
    };
  }

  async function pause(): Promise<void> {
    await delay(Math.random() * APPEND_DELAY_MS_MAX);
  }

  async function disturb(): Promise<void> {
    await pause();
    if (Math.random() < FAULT_SHARE) throw new Error('the log did not answer');
  }

  /** Cuts one connection of a relay, claims at work included, every few milliseconds. */
  function cutConnections(): { stop(): Promise<number> } {
    const stopped = new AbortController();
    let kills = 0;
    const loop = (async () => {
      while (!stopped.signal.aborted) {
        await delay(KILL_EVERY_MS);
        const victims = await test.database.query({
          text: `SELECT pg_terminate_backend(pid) FROM (
              SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'belfry chaos relay%' ORDER BY random() LIMIT 1) AS victim`,
        });
        kills += victims.length;
      }
    })();
    return {
      stop: async () => {
        stopped.abort();
        await loop;
        return kills;
      },
    };
  }
});
