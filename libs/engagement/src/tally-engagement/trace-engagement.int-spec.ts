import { newUuid } from '#contracts';
import { createTestDatabase, type TestDatabase } from '#testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { EngagementStore, type TraceQuestion } from '../engagement.store.js';
import { EngagementFixture } from '../testing/engagement-fixture.store.js';

/** In the order of their ids, as chunks are cut. */
const [LOW, MIDDLE, HIGH, BEYOND] = ['1', '5', '9', 'd'].map((digit) => `${digit}0000000-0000-7000-8000-000000000000`) as [
  string,
  string,
  string,
  string,
];

describe('EngagementStore.findTraces', () => {
  let test: TestDatabase;
  let fixture: EngagementFixture;
  let store: EngagementStore;

  beforeAll(async () => {
    test = await createTestDatabase();
    store = new EngagementStore(test.database);
  });
  afterAll(() => test.close());
  beforeEach(async () => {
    fixture = await EngagementFixture.make(test.database);
  });

  const question = (facts: Partial<TraceQuestion>): TraceQuestion => ({
    environmentId: fixture.environmentId,
    messageKey: newUuid(),
    subscriberId: MIDDLE,
    ofCampaign: true,
    ...facts,
  });

  async function addSingle(traceparent: string | null): Promise<string> {
    const messageKey = newUuid();
    await test.database.execute({
      text: `INSERT INTO campaigns.single_message (environment_id, message_key, subscriber_id, content_id, channels, expires_at, traceparent)
        VALUES ($1, $2, $3, $2, '{push}', now(), $4)`,
      values: [fixture.environmentId, messageKey, MIDDLE, traceparent],
    });
    return messageKey;
  }

  /** A run with two chunks: up to MIDDLE, and behind it up to HIGH. */
  async function addRun(): Promise<string> {
    const messageKey = newUuid();
    await test.database.execute({
      text: `INSERT INTO campaigns.run (environment_id, id, campaign_id, state, channels, content_id, message_key, expires_at, emitted_at, triggered_at)
        VALUES ($1, $2, $2, 'finished', '{push}', $2, $2, now(), now(), now())`,
      values: [fixture.environmentId, messageKey],
    });
    await test.database.execute({
      text: `INSERT INTO campaigns.chunk (environment_id, run_id, chunk_no, lower_id, upper_id, planned_recipients, emitted_at, traceparent)
        VALUES ($1, $2, 0, NULL, $3, 1, now(), 'chunk-0'), ($1, $2, 1, $3, $4, 1, now(), 'chunk-1')`,
      values: [fixture.environmentId, messageKey, MIDDLE, HIGH],
    });
    return messageKey;
  }

  it('finds the call of a single message, whether or not campaigns are asked for', async () => {
    const messageKey = await addSingle('call');
    const questions = [question({ messageKey }), question({ messageKey, ofCampaign: false })];
    expect(await store.findTraces(questions)).toEqual(['call', 'call']);
  });

  it('finds the chunk in which a subscriber was, bounds included as they were cut', async () => {
    const messageKey = await addRun();
    const questions = [LOW, MIDDLE, HIGH, BEYOND].map((subscriberId) => question({ messageKey, subscriberId }));
    expect(await store.findTraces(questions)).toEqual(['chunk-0', 'chunk-0', 'chunk-1', undefined]);
    expect(await store.findTraces([question({ messageKey, ofCampaign: false })])).toEqual([undefined]);
  });

  it('finds nothing in another environment, of a message that is unknown, or that was sent without a trace', async () => {
    const other = await EngagementFixture.make(test.database);
    const [messageKey, untraced] = [await addSingle('call'), await addSingle(null)];
    const questions = [question({ messageKey, environmentId: other.environmentId }), question({}), question({ messageKey: untraced })];
    expect(await store.findTraces(questions)).toEqual([undefined, undefined, undefined]);
  });

  it('keeps the order of the questions', async () => {
    const keys = [await addSingle('one'), newUuid(), await addSingle('two'), await addRun()];
    expect(await store.findTraces(keys.map((messageKey) => question({ messageKey })))).toEqual(['one', undefined, 'two', 'chunk-0']);
  });
});
