import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { Database } from '#database';
import { hashRequest, Idempotency } from '#http';
import { audienceSchema } from '../audience.js';
import { ttlSecondsSchema } from '../ttl.js';
import { StartRun, type AcceptedRun } from './start-run.js';

/** Body of `POST /v1/campaigns/{campaign_id}/trigger`; may be absent. */
export const triggerRunSchema = z
  .strictObject({
    audience: audienceSchema.optional().describe('Instead of the audience of the campaign, for this run only'),
    ttl_seconds: ttlSecondsSchema.optional().describe('Instead of the time to live of the campaign, for this run only'),
  })
  .prefault({})
  .meta({ id: 'TriggerRun' });

export type TriggerRunInput = z.infer<typeof triggerRunSchema>;

/** Names a trigger: which campaign, how, and the caller's key for repeats. */
export interface TriggerRequest {
  readonly campaignId: string;
  readonly input: TriggerRunInput;
  readonly key: string | undefined;
}

/**
 * Triggers a campaign for a caller: run, first record and the answer for repeats of the same key are committed together, so a
 * repeat gives the same run, also when fifty arrive at once.
 */
@Injectable()
export class TriggerRun {
  constructor(
    private readonly database: Database,
    private readonly idempotency: Idempotency,
    private readonly startRun: StartRun,
  ) {}

  /** @throws CampaignNotFoundError, AudienceSegmentNotFoundError, IdempotencyKeyReusedError */
  async trigger(environmentId: string, { campaignId, input, key }: TriggerRequest): Promise<AcceptedRun> {
    const route = 'POST /v1/campaigns/:campaign_id/trigger';
    const call = { environmentId, route, key, requestHash: hashRequest({ campaignId, input }) };
    const start = { campaignId, audience: input.audience, ttlSeconds: input.ttl_seconds };
    return this.database.transaction((tx) => this.idempotency.run(call, tx, () => this.startRun.start(environmentId, start, tx)));
  }
}
