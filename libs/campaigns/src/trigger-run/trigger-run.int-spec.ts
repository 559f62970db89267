import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { encodeId, newUuid } from '#contracts';
import { IdempotencyKeyReusedError } from '#http';
import { createTestDatabase, FixedClock, type TestDatabase } from '#testing';
import { AudienceSegmentNotFoundError, CampaignNotFoundError } from '../campaigns.errors.js';
import { Pipeline } from '../testing/pipeline.js';
import { triggerRunSchema } from './trigger-run.js';

const CALLS_AT_ONCE = 50;

describe('TriggerRun', () => {
  let test: TestDatabase;
  let pipeline: Pipeline;

  beforeAll(async () => {
    test = await createTestDatabase();
  });
  afterAll(() => test.close());
  beforeEach(() => {
    pipeline = new Pipeline(test.database, new FixedClock());
  });

  async function countRuns(campaignId: string): Promise<number> {
    return (await pipeline.readRuns.list(pipeline.environmentId, campaignId, { limit: 100 })).data.length;
  }

  it('makes one run for fifty calls with one key at once, and gives each the same answer', async () => {
    const campaignId = await pipeline.create({ all: true });
    const request = { campaignId, input: {}, key: 'same' };
    const answers = await Promise.all(
      Array.from({ length: CALLS_AT_ONCE }, () => pipeline.triggerRun.trigger(pipeline.environmentId, request)),
    );
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(await countRuns(campaignId)).toBe(1);
    expect(pipeline.records).toHaveLength(1);
  });

  it('makes a run for each call without a key', async () => {
    const campaignId = await pipeline.create({ all: true });
    const request = { campaignId, input: {}, key: undefined };
    await pipeline.triggerRun.trigger(pipeline.environmentId, request);
    await pipeline.triggerRun.trigger(pipeline.environmentId, request);
    expect(await countRuns(campaignId)).toBe(2);
  });

  it('refuses a key that was used with another body or for another campaign', async () => {
    const campaignId = await pipeline.create({ all: true });
    const otherId = await pipeline.create({ all: true });
    await pipeline.triggerRun.trigger(pipeline.environmentId, { campaignId, input: {}, key: 'k' });
    for (const request of [
      { campaignId, input: { ttl_seconds: 60 }, key: 'k' },
      { campaignId: otherId, input: {}, key: 'k' },
    ]) {
      await expect(pipeline.triggerRun.trigger(pipeline.environmentId, request)).rejects.toBeInstanceOf(IdempotencyKeyReusedError);
    }
  });

  it('forgets the key of a trigger that failed', async () => {
    const segment = await pipeline.segments.insert(pipeline.environmentId, { name: 'late', rule: { all: [] } });
    const campaignId = await pipeline.create({ segment_id: encodeId('segment', segment.id) });
    await pipeline.segments.remove(pipeline.environmentId, segment.id);
    const request = { campaignId, input: {}, key: 'retry' };
    await expect(pipeline.triggerRun.trigger(pipeline.environmentId, request)).rejects.toBeInstanceOf(AudienceSegmentNotFoundError);
    await expect(pipeline.triggerRun.trigger(pipeline.environmentId, request)).rejects.toBeInstanceOf(AudienceSegmentNotFoundError);
    expect(pipeline.records).toEqual([]);
  });

  it('takes another audience and time to live for one run', async () => {
    await pipeline.segments.insert(newUuid(), { name: 'foreign', rule: { all: [] } });
    const campaignId = await pipeline.create({ all: true }, 3_600);
    const input = triggerRunSchema.parse({ audience: { rule: { attribute: 'no', operator: 'less_than', value: 3 } }, ttl_seconds: 60 });
    const accepted = await pipeline.triggerRun.trigger(pipeline.environmentId, { campaignId, input, key: undefined });
    const [run] = (await pipeline.readRuns.list(pipeline.environmentId, campaignId, { limit: 1 })).data;
    expect(run).toMatchObject({ id: accepted.id, expires_at: '2026-11-22T12:01:00.000Z' });
  });

  it('treats an absent body like an empty one', () => {
    expect(triggerRunSchema.parse(undefined)).toEqual({});
    expect(triggerRunSchema.safeParse({ colour: 'red' }).success).toBe(false);
  });

  it('answers campaigns and segments of other environments as unknown ones', async () => {
    const campaignId = await pipeline.create({ all: true });
    const segment = await pipeline.segments.insert(pipeline.environmentId, { name: 'mine', rule: { all: [] } });
    const stranger = new Pipeline(test.database, new FixedClock());
    for (const id of [campaignId, newUuid()]) {
      const request = { campaignId: id, input: {}, key: undefined };
      await expect(stranger.triggerRun.trigger(stranger.environmentId, request)).rejects.toBeInstanceOf(CampaignNotFoundError);
      await expect(stranger.readCampaigns.read(stranger.environmentId, id)).rejects.toBeInstanceOf(CampaignNotFoundError);
      await expect(stranger.readRuns.list(stranger.environmentId, id, { limit: 1 })).rejects.toBeInstanceOf(CampaignNotFoundError);
    }
    for (const id of [encodeId('segment', segment.id), encodeId('segment', newUuid()), 'nonsense']) {
      await expect(stranger.create({ segment_id: id })).rejects.toBeInstanceOf(AudienceSegmentNotFoundError);
    }
  });
});
