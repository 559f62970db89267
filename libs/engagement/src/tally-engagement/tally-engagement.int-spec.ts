import { ENGAGEMENT_KINDS, engagementRecordedV1, newUuid, SystemClock, type EngagementKind, type EngagementRecorded } from '#contracts';
import { BelfryConfig } from '#config';
import { Outbox } from '#event-log';
import { createTestDatabase, type TestDatabase, waitFor } from '#testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { EngagementAge } from '../engagement-age.js';
import { engagementConfig } from '../engagement.config.js';
import { EngagementStore } from '../engagement.store.js';
import { EngagementApp } from '../testing/engagement-app.js';
import { EngagementFixture } from '../testing/engagement-fixture.store.js';
import { TallyEngagement } from './tally-engagement.js';

const DAY_MS = 86_400_000;

describe('TallyEngagement', () => {
  let test: TestDatabase;
  let fixture: EngagementFixture;
  let story: TallyEngagement;

  beforeAll(async () => {
    test = await createTestDatabase({ poolConnectionsMax: 8 });
    const age = new EngagementAge(BelfryConfig.load([engagementConfig], {}), new SystemClock());
    story = new TallyEngagement(new EngagementStore(test.database), age);
  });
  afterAll(() => test.close());
  beforeEach(async () => {
    fixture = await EngagementFixture.make(test.database);
  });

  const event = (facts: Partial<EngagementRecorded> = {}): EngagementRecorded => ({
    environment_id: fixture.environmentId,
    message_key: newUuid(),
    subscriber_id: newUuid(),
    channel: 'push',
    kind: 'shown',
    occurred_at: new Date().toISOString(),
    ...facts,
  });

  /** Every kind of some people on some messages. */
  const makeEvents = (messages: number, people: number, kinds: readonly EngagementKind[] = ['delivered', 'shown', 'clicked']) => {
    const subscriberIds = Array.from({ length: people }, () => newUuid());
    const messageKeys = Array.from({ length: messages }, () => newUuid());
    return messageKeys.flatMap((key) =>
      subscriberIds.flatMap((id) => kinds.map((kind) => event({ message_key: key, subscriber_id: id, kind }))),
    );
  };

  it('counts each message, subscriber, channel and kind once, within a batch and over batches', async () => {
    const shown = event();
    const clicked = event({ ...shown, kind: 'clicked' });
    const inInbox = event({ ...shown, channel: 'inbox' });
    expect(await story.tally([shown, shown, clicked])).toMatchObject({ recorded: 2, repeated: 1, outdated: 0 });
    expect(await story.tally([clicked, inInbox, shown])).toMatchObject({ recorded: 1, repeated: 2, outdated: 0 });
    expect(await fixture.readCounts()).toEqual([
      { message_key: shown.message_key, channel: 'inbox', kind: 'shown', subscribers: 1 },
      { message_key: shown.message_key, channel: 'push', kind: 'clicked', subscribers: 1 },
      { message_key: shown.message_key, channel: 'push', kind: 'shown', subscribers: 1 },
    ]);
    expect(await fixture.recount()).toEqual(await fixture.readCounts());
  });

  it('keeps the earliest time of repeats in one batch, and the first that was written over batches', async () => {
    const late = event({ occurred_at: '2026-11-20T10:00:00.000Z' });
    const early = { ...late, occurred_at: '2026-11-20T09:00:00.000Z' };
    await story.tally([late, early]);
    await story.tally([{ ...late, occurred_at: '2026-11-20T08:00:00.000Z' }]);
    expect(await fixture.readTimes(late.message_key)).toEqual({ shown: early.occurred_at });
  });

  it('takes every kind of the contract', async () => {
    const [first] = makeEvents(1, 1);
    const tally = await story.tally(ENGAGEMENT_KINDS.map((kind) => event({ ...first, kind })));
    expect(tally.recorded).toBe(ENGAGEMENT_KINDS.length);
  });

  it('is exact when the same records come to several handlers at once, in any order', async () => {
    const events = makeEvents(3, 100);
    const handlers = Array.from({ length: 6 }, (_, index) => rotate(index % 2 === 0 ? events : events.toReversed(), index * 37));
    const tallies = await Promise.all(
      handlers.map(async (own) => {
        let recorded = 0;
        for (let start = 0; start < own.length; start += 150) recorded += (await story.tally(own.slice(start, start + 150))).recorded;
        return recorded;
      }),
    );
    expect(tallies.reduce((sum, recorded) => sum + recorded, 0)).toBe(events.length);
    const counts = await fixture.readCounts();
    expect(counts).toHaveLength(9);
    expect(counts.every(({ subscribers }) => subscribers === 100)).toBe(true);
    expect(await fixture.recount()).toEqual(counts);
  });

  it('keeps environments apart', async () => {
    const other = await EngagementFixture.make(test.database);
    const mine = event();
    await story.tally([mine, { ...event(), environment_id: other.environmentId }]);
    expect(await fixture.readCounts()).toMatchObject([{ message_key: mine.message_key, subscribers: 1 }]);
    expect(await other.readCounts()).toHaveLength(1);
  });

  it('leaves messages out that are older than engagement is kept, and counts the rest', async () => {
    const outdated = event({ message_key: newUuid(Date.now() - 181 * DAY_MS) });
    expect(await story.tally([outdated, event()])).toMatchObject({ recorded: 1, repeated: 0, outdated: 1 });
    expect(await story.tally([outdated])).toMatchObject({ recorded: 0, repeated: 0, outdated: 1 });
  });

  it('has the kinds of the contract in the constraint of the table', async () => {
    const constraint = await fixture.readConstraint('receipt_kind');
    expect([...constraint.matchAll(/'(\w+)'/g)].map((match) => match[1])).toEqual([...ENGAGEMENT_KINDS]);
  });

  it('counts over the event log what receipts reported, however often they were sent', async () => {
    const app = await EngagementApp.open(test);
    try {
      await app.consume();
      const receipts = Array.from({ length: 20 }, () => fixture.receipt());
      const items = receipts.flatMap((receipt) => ['delivered', 'shown'].map((kind) => ({ receipt: app.sign(receipt), kind })));
      const reports = [items, items.toReversed(), items.slice(0, 20)].map((batch) => app.report(batch));
      expect((await Promise.all(reports)).map(({ status }) => status)).toEqual([202, 202, 202]);
      const last = event();
      // Sent last, on each key that is used: when it is counted, so is all before it.
      const ends = receipts.map((receipt) => ({ ...last, message_key: last.message_key, subscriber_id: receipt.subscriberId }));
      await test.database.transaction((tx) => app.app.get(Outbox).append(engagementRecordedV1, ends, tx));
      await waitFor(async () => (await fixture.readCounts()).find(({ message_key: key }) => key === last.message_key)?.subscribers === 20);
      expect(await fixture.readCounts()).toHaveLength(41);
      expect(await fixture.recount()).toEqual(await fixture.readCounts());
    } finally {
      await app.close();
    }
  });
});

function rotate<Item>(items: readonly Item[], by: number): Item[] {
  return [...items.slice(by), ...items.slice(0, by)];
}
