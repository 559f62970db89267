import { createHash } from 'node:crypto';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { encodeId, encodeMessageId, newUuid, TOPICS } from '#contracts';
import { createTestDatabase, type TestDatabase } from '#testing';
import type { PushPerson } from '../support/push-audience.js';
import { InFlight } from './in-flight.js';
import { type Balance, drawLedger, type LedgerParts } from './ledger.js';
import { SinkRecord } from './sink-record.js';

const ENVIRONMENT = newUuid();
const PEOPLE = 4;
const TRUE = { lost: 0, duplicateRows: 0, duplicateReceipts: 0, duplicatePushRequests: 0, pending: 0, faults: [], wrong: [] };

/** A judge that finds nothing is worth nothing: each fault is planted into tables that are in order, and has to be found. */
describe('the ledger of a fault campaign', () => {
  const opened: TestDatabase[] = [];
  let test: TestDatabase;
  let people: PushPerson[];
  let parts: LedgerParts;
  let runId: string;
  let messageKey: string;
  let singleKey: string;
  let sink: SinkRecord;

  beforeEach(async () => {
    test = await createTestDatabase();
    opened.push(test);
    [runId, messageKey, singleKey] = [newUuid(), newUuid(), newUuid()];
    people = Array.from({ length: PEOPLE }, (_, index) => ({
      environmentId: ENVIRONMENT,
      id: newUuid(),
      externalId: `p-${index}`,
      deviceId: `d-${index}`,
    }));
    sink = new SinkRecord({ attemptsAfter: async () => [] });
    await seed();
    parts = {
      database: test.database,
      people,
      unsubscribed: new Set(['p-3']),
      accepted: {
        runIds: [encodeId('run', runId)],
        messageIds: [encodeMessageId(singleKey, idOf(0))],
        reports: new Set([`${encodeMessageId(messageKey, idOf(0))} clicked`]),
        inboxChanges: { read: new Set([encodeMessageId(messageKey, idOf(1))]), archive: new Set() },
        marks: new Map([['p-2', 'mark 1']]),
      },
      sink,
      inFlight: new InFlight(test.database),
      poisoned: 0,
    };
  });
  afterAll(async () => {
    for (const each of opened) await each.close();
  });

  const idOf = (index: number): string => people[index]?.id ?? '';
  const sinkKey = (key: string, index: number): string =>
    SinkRecord.keyOf(
      `d-${index}`,
      createHash('sha256')
        .update(`${key}:${idOf(index)}`)
        .digest('base64url')
        .slice(0, 32),
    );
  const execute = (text: string, values: unknown[] = []) => test.database.execute({ text, values });
  const draw = (): Promise<Balance> => drawLedger(parts);

  /** One finished run to four people, of whom one has unsubscribed, and one single message. */
  async function seed(): Promise<void> {
    const counts = (delivered: number) => ({
      targeted: 4,
      delivered,
      failed: {},
      skipped: { unsubscribed: 1 },
      expired: 0,
      cancelled: 0,
      pending: 0,
    });
    const reached = people.slice(0, 3);
    await execute(
      `INSERT INTO campaigns.run (environment_id, id, campaign_id, state, channels, content_id, message_key, expires_at, emitted_at, triggered_at, counts)
       VALUES ($1, $2, $1, 'finished', '{inbox,push}', $1, $3, 'infinity', now(), now(), $4)`,
      [ENVIRONMENT, runId, messageKey, { inbox: counts(3), push: counts(3) }],
    );
    await execute(
      `INSERT INTO campaigns.chunk_delivery (environment_id, run_id, chunk_no, channel, recipient_ids, targeted, skipped, delivered, pending)
       SELECT $1, $2, 0, channel, $3, 4, '{"unsubscribed": 1}', 3, 0 FROM unnest('{inbox,push}'::text[]) AS channel`,
      [ENVIRONMENT, runId, reached.map(({ id }) => id)],
    );
    await execute(
      `INSERT INTO subscribers.subscriber (environment_id, id, external_id, attributes)
       SELECT $1, id, external_id, CASE external_id WHEN 'p-2' THEN '{"mark": "mark 1"}'::jsonb ELSE '{}' END FROM unnest($2::uuid[], $3::text[]) AS p (id, external_id)`,
      [ENVIRONMENT, people.map(({ id }) => id), people.map(({ externalId }) => externalId)],
    );
    await execute(
      `INSERT INTO campaigns.single_message (environment_id, message_key, subscriber_id, content_id, channels, expires_at)
       VALUES ($1, $2, $3, $1, '{inbox,push}', 'infinity')`,
      [ENVIRONMENT, singleKey, idOf(0)],
    );
    for (const [key, run, owners] of [
      [messageKey, runId, [0, 1, 2]],
      [singleKey, null, [0]],
    ] as const) {
      await execute(
        `INSERT INTO push.batch (environment_id, message_key, chunk_no, run_id, content_id, expires_at, lane, recipients, devices)
         VALUES ($1, $2, 0, $3, $1, 'infinity', 'bulk', 3, 3)`,
        [ENVIRONMENT, key, run],
      );
      for (const index of owners) {
        await insertInboxRow(key, run, index);
        await execute(
          `INSERT INTO push.delivery (environment_id, message_key, chunk_no, subscriber_id, device_id, vendor, lane, state, next_attempt_at)
           VALUES ($1, $2, 0, $3, $3, 'other', 'bulk', 'accepted', now())`,
          [ENVIRONMENT, key, idOf(index)],
        );
        sink.accepted.set(sinkKey(key, index), 1);
      }
    }
    for (const [index, channel, kind] of [
      [0, 'push', 'clicked'],
      [1, 'inbox', 'read'],
    ] as const) {
      await execute(
        `INSERT INTO engagement.receipt (environment_id, message_key, subscriber_id, channel, kind, occurred_at) VALUES ($1, $2, $3, $4, $5, now())`,
        [ENVIRONMENT, messageKey, idOf(index), channel, kind],
      );
      await execute('INSERT INTO engagement.message_count VALUES ($1, $2, $3, $4, 1)', [ENVIRONMENT, messageKey, channel, kind]);
    }
    await execute('UPDATE inbox.message SET read_at = now() WHERE subscriber_id = $1', [idOf(1)]);
  }

  async function insertInboxRow(key: string, run: string | null, index: number): Promise<void> {
    await execute(
      `INSERT INTO inbox.message (environment_id, subscriber_id, message_key, content_id, run_id, expires_at) VALUES ($1, $2, $3, $1, $4, 'infinity')`,
      [ENVIRONMENT, idOf(index), key, run],
    );
  }

  it('is true over tables that are in order', async () => {
    expect(await draw()).toMatchObject({ ...TRUE, targeted: 8, delivered: 6, skipped: 2 });
  });

  it.each([
    ['an inbox row is missing', 'DELETE FROM inbox.message WHERE run_id IS NOT NULL AND read_at IS NOT NULL', { lost: 1 }],
    ['a single message is missing', 'DELETE FROM inbox.message WHERE run_id IS NULL', { lost: 1 }],
    [
      'a push delivery is missing',
      `DELETE FROM push.delivery WHERE message_key = (SELECT message_key FROM campaigns.run) AND subscriber_id = (SELECT id FROM subscribers.subscriber WHERE external_id = 'p-2')`,
      { lost: 1 },
    ],
    [
      'a push delivery never ended',
      `UPDATE push.delivery SET state = 'sending' WHERE subscriber_id = (SELECT id FROM subscribers.subscriber WHERE external_id = 'p-2')`,
      { lost: 1 },
    ],
    [
      'a person is counted twice in engagement',
      `UPDATE engagement.message_count SET subscribers = 2 WHERE kind = 'clicked'`,
      { duplicateReceipts: 1 },
    ],
  ])('finds that %s', async (_, tampering, found) => {
    await execute(tampering);
    expect(await draw()).toMatchObject(found);
  });

  it.each([
    ['the counts of a chunk differ from the rows', 'UPDATE campaigns.chunk_delivery SET delivered = 2, expired = 1'],
    ['a run froze other counts than its chunks have', `UPDATE campaigns.run SET counts = jsonb_set(counts, '{inbox,delivered}', '2')`],
    ['a run is not over', `UPDATE campaigns.run SET state = 'running'`],
    ['a trigger left no run', 'DELETE FROM campaigns.run'],
    ['a receipt is not counted', `DELETE FROM engagement.message_count WHERE kind = 'read'`],
    ['a person was not changed', `UPDATE subscribers.subscriber SET attributes = '{}'`],
    ['a record waits in the outbox', `INSERT INTO event_log.outbox (lane, bucket, topic, key, value) VALUES ('bulk', 0, 't', 'k', '')`],
    [
      'an honest record was set aside',
      `INSERT INTO event_log.dead_letter (id, group_name, topic, partition, record_offset, key, headers, value, reason_code, reason_message, attempts, appended_at)
       SELECT gen_random_uuid(), 'g', 't', 0, 0, 'k', '{}', '{}', 'code', 'message', 5, now()`,
    ],
  ])('finds that %s', async (_, tampering) => {
    await execute(tampering);
    expect((await draw()).faults).not.toEqual([]);
  });

  it('names the people with whom something is wrong', async () => {
    await execute(`DELETE FROM engagement.receipt WHERE kind = 'clicked'`);
    await execute(`UPDATE inbox.message SET read_at = NULL`);
    const { wrong } = await draw();
    expect(wrong.map(({ subscriberId, what }) => `${subscriberId} ${what}`).toSorted()).toEqual(
      [`${idOf(0)} reported as clicked on push, and there is no receipt`, `${idOf(1)} accepted: read, and it is not so`].toSorted(),
    );
  });

  it('finds whom no campaign may reach', async () => {
    await insertInboxRow(messageKey, runId, 3);
    expect(await draw()).toMatchObject({ duplicateRows: 1, wrong: [{ subscriberId: idOf(3) }] });
  });

  it('compares with what the push service took', async () => {
    sink.accepted.delete(sinkKey(messageKey, 0));
    sink.accepted.set(sinkKey(messageKey, 1), 3);
    sink.accepted.set('d-0 of nobody', 1);
    const { lost, duplicatePushRequests, faults, wrong } = await draw();
    expect({ lost, duplicatePushRequests, faults: faults.length }).toEqual({ lost: 1, duplicatePushRequests: 2, faults: 2 });
    expect(wrong.map(({ subscriberId }) => subscriberId).toSorted()).toEqual([idOf(0), idOf(1)].toSorted());
  });

  it('takes repeats of what was in flight at a kill', async () => {
    const state = (name: string) =>
      execute('UPDATE push.delivery SET state = $1 WHERE subscriber_id = $2 AND message_key = $3', [name, idOf(1), messageKey]);
    await state('sending');
    // Two kills one after the other: what the first one left behind counts once.
    await parts.inFlight.note();
    await parts.inFlight.note();
    await state('accepted');
    sink.accepted.set(sinkKey(messageKey, 1), 2);
    expect(await draw()).toMatchObject({ ...TRUE, duplicatePushRequests: 1, inFlightAtKills: 1 });
    sink.accepted.set(sinkKey(messageKey, 1), 3);
    expect((await draw()).faults).toEqual(['More push requests were repeated than were in flight.']);
  });

  it('takes repeats of what the push service never answered, and of nothing that it answered', async () => {
    const attempt = (httpStatus: number | null) =>
      execute('UPDATE push.delivery SET earlier_attempts = $1 WHERE subscriber_id = $2 AND message_key = $3', [
        JSON.stringify([{ at: '2026-11-27T09:07:38Z', outcome: 'transient', http_status: httpStatus, reason: 'connection_reset' }]),
        idOf(1),
        messageKey,
      ]);
    sink.accepted.set(sinkKey(messageKey, 1), 2);
    await attempt(null);
    expect(await draw()).toMatchObject({ ...TRUE, duplicatePushRequests: 0 });
    await attempt(503);
    expect((await draw()).wrong).toMatchObject([{ subscriberId: idOf(1) }]);
    await attempt(null);
    sink.accepted.set(sinkKey(messageKey, 1), 3);
    expect(await draw()).toMatchObject({ duplicatePushRequests: 1, wrong: [{ subscriberId: idOf(1) }] });
  });

  it('asks for every poisonous record as a dead letter, of every topic', async () => {
    parts = { ...parts, poisoned: 1 };
    const setAside = (topics: readonly string[], group = 'g') =>
      execute(
        `INSERT INTO event_log.dead_letter (id, group_name, topic, partition, record_offset, key, headers, value, reason_code, reason_message, attempts, appended_at)
         SELECT gen_random_uuid(), $2, topic, 0, 0, 'k', '{}', 'nobody can read this, 0', 'record_undecodable', 'message', 0, now() FROM unnest($1::text[]) AS topic`,
        [topics, group],
      );
    const [first = '', ...others] = TOPICS.map(({ topic }) => topic);
    await setAside(others);
    expect((await draw()).faults).toEqual([`Poison came out of ${others.length} of ${TOPICS.length} topics.`]);
    await setAside([first]);
    expect(await draw()).toMatchObject({ ...TRUE, deadLetters: TOPICS.length });
    await setAside([first], 'gateway.announce-changed');
    parts = { ...parts, poisoned: 2 };
    // What came while no gateway ran is for none of them; all other groups owe it.
    expect((await draw()).faults).toEqual([...others, first].map((topic) => `1 of 2 poisonous records of ${topic} in g are dead letters.`));
  });
});
