import { randomBytes } from 'node:crypto';
import {
  campaignChunkPlannedV1,
  campaignRunTriggeredV1,
  decodeId,
  inboxDeliveryRequestedV1,
  newUuid,
  pushDeliveryRequestedV1,
} from '#contracts';
import type { DeliveryRequested } from '#contracts';
import { createTestDatabase, FixedClock, type TestDatabase } from '#testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createCampaignSchema } from '../create-campaign/create-campaign.js';
import { Pipeline } from '../testing/pipeline.js';

describe('a run that goes to push', () => {
  let test: TestDatabase;
  let pipeline: Pipeline;

  beforeAll(async () => {
    test = await createTestDatabase();
  });
  afterAll(() => test.close());
  beforeEach(() => {
    pipeline = new Pipeline(test.database, new FixedClock());
  });

  async function addDevice(externalId: string, state: 'active' | 'gone' = 'active'): Promise<void> {
    await test.database.execute({
      text: `INSERT INTO push.device (environment_id, id, subscriber_id, vapid_key_id, vendor, endpoint_hash, ciphertext, p256dh, state)
        SELECT environment_id, $3, id, $3, 'fcm', $4::bytea, CASE WHEN $6::text = 'active' THEN $4::bytea END, $5, $6 FROM subscribers.subscriber
        WHERE environment_id = $1 AND external_id = $2`,
      values: [pipeline.environmentId, externalId, newUuid(), randomBytes(32), randomBytes(65), state],
    });
  }

  async function fanOut(channels: ('inbox' | 'push')[]): Promise<string> {
    const input = createCampaignSchema.parse({ title: 'Hello', audience: { all: true }, channels });
    const { id } = await pipeline.createCampaign.create(pipeline.environmentId, input, undefined);
    const call = { campaignId: decodeId('campaign', id) ?? '', input: {}, key: undefined };
    const accepted = await pipeline.triggerRun.trigger(pipeline.environmentId, call);
    await pipeline.handle(pipeline.take(campaignRunTriggeredV1));
    await pipeline.handle(pipeline.take(campaignChunkPlannedV1));
    return decodeId('run', accepted.id) ?? '';
  }

  it('asks for those who have a device, once each, and skips the others with a reason', async () => {
    await pipeline.standIn.seedSubscribers(pipeline.environmentId, 10);
    for (const externalId of ['sub-1', 'sub-1', 'sub-2', 'sub-10']) await addDevice(externalId);
    await addDevice('sub-3', 'gone');
    const runId = await fanOut(['inbox', 'push']);
    const [push] = pipeline.take(pushDeliveryRequestedV1).map(({ event }) => event as DeliveryRequested);
    const [inbox] = pipeline.take(inboxDeliveryRequestedV1).map(({ event }) => event as DeliveryRequested);
    expect(push?.recipient_ids).toHaveLength(2);
    expect(inbox?.recipient_ids).toHaveLength(9);
    const run = await pipeline.read(runId);
    expect(run.counts_by_channel.push).toMatchObject({
      targeted: 10,
      skipped: 8,
      skipped_by_reason: { unsubscribed: 1, no_device: 7 },
      failed: 0,
      pending: 2,
    });
    expect(run.push).toMatchObject({ devices: { targeted: 0, pending: 0 } });
  });

  it('is finished without a request when nobody has a device', async () => {
    await pipeline.standIn.seedSubscribers(pipeline.environmentId, 5);
    const runId = await fanOut(['push']);
    expect(pipeline.take(pushDeliveryRequestedV1)).toEqual([]);
    expect(await pipeline.read(runId)).toMatchObject({ state: 'finished', counts: { targeted: 5, skipped: 5, pending: 0 } });
  });
});
