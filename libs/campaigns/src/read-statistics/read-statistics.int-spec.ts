import { campaignChunkPlannedV1, campaignRunTriggeredV1, ENGAGEMENT_KINDS_BY_CHANNEL, newUuid, type EngagementKind } from '#contracts';
import { createTestDatabase, FixedClock, type TestDatabase } from '#testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CampaignNotFoundError } from '../campaigns.errors.js';
import { Pipeline } from '../testing/pipeline.js';

describe('the statistics of a campaign', () => {
  let test: TestDatabase;
  let pipeline: Pipeline;
  let campaignId: string;

  beforeAll(async () => {
    test = await createTestDatabase();
  });
  afterAll(() => test.close());
  beforeEach(async () => {
    pipeline = new Pipeline(test.database, new FixedClock());
    await pipeline.standIn.prepare();
    await pipeline.standIn.seedSubscribers(pipeline.environmentId, 100);
    campaignId = await pipeline.create({ all: true });
  });

  const read = () => pipeline.readStatistics.read(pipeline.environmentId, campaignId);
  const keyOf = async (runId: string) => (await pipeline.runs.find(pipeline.environmentId, runId))?.messageKey ?? '';
  const engage = async (runId: string, kind: EngagementKind, subscribers: number, environmentId = pipeline.environmentId) =>
    test.database.execute({
      text: `INSERT INTO engagement.message_count (environment_id, message_key, channel, kind, subscribers) VALUES ($1, $2, 'inbox', $3, $4)`,
      values: [environmentId, await keyOf(runId), kind, subscribers],
    });
  const nobody = Object.fromEntries(ENGAGEMENT_KINDS_BY_CHANNEL.inbox.map((kind) => [kind, 0]));

  it('are zero before the first run', async () => {
    expect(await read()).toMatchObject({
      runs: { total: 0, by_state: {} },
      counts: { targeted: 0, failed_by_reason: {} },
      counts_by_channel: { inbox: { targeted: 0 } },
      engagement_by_channel: { inbox: nobody },
    });
  });

  it('are the sum of its runs, whether they are over, under way or not planned yet', async () => {
    await pipeline.triggerCampaign(campaignId);
    await pipeline.triggerCampaign(campaignId);
    await pipeline.drain();
    await pipeline.triggerCampaign(campaignId);
    await pipeline.handle(pipeline.take(campaignRunTriggeredV1));
    await pipeline.triggerCampaign(campaignId);
    const statistics = await read();
    expect(statistics.runs).toEqual({ total: 4, by_state: { finished: 2, running: 1, triggered: 1 } });
    expect(statistics.counts).toMatchObject({ targeted: 300, delivered: 180, skipped: 20, pending: 100 });
    expect(statistics.counts.skipped_by_reason).toEqual({ unsubscribed: 20 });
    expect(statistics.counts_by_channel.inbox).toEqual(statistics.counts);
    await pipeline.handle(pipeline.take(campaignChunkPlannedV1));
    await pipeline.drain();
    expect((await read()).counts).toMatchObject({ targeted: 400, delivered: 360, skipped: 40, pending: 0 });
  });

  it('show what people did, summed over the runs; each run shows its own', async () => {
    const [first, second] = [await pipeline.triggerCampaign(campaignId), await pipeline.triggerCampaign(campaignId)];
    await pipeline.drain();
    await engage(first, 'read', 7);
    await engage(first, 'clicked', 2);
    await engage(second, 'read', 5);
    expect((await read()).engagement_by_channel).toEqual({ inbox: { ...nobody, read: 12, clicked: 2 } });
    expect((await pipeline.read(first)).engagement_by_channel).toEqual({ inbox: { ...nobody, read: 7, clicked: 2 } });
    expect((await pipeline.read(second)).engagement_by_channel).toEqual({ inbox: { ...nobody, read: 5 } });
  });

  it('show nothing of another environment', async () => {
    const runId = await pipeline.triggerCampaign(campaignId);
    await engage(runId, 'read', 7, newUuid());
    expect((await read()).engagement_by_channel).toEqual({ inbox: nobody });
    const foreign = pipeline.readStatistics.read(newUuid(), campaignId);
    await expect(foreign).rejects.toBeInstanceOf(CampaignNotFoundError);
  });
});
