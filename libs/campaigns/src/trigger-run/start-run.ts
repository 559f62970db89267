import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { campaignRunTriggeredV1, Clock, encodeId, newUuid } from '#contracts';
import type { Transaction } from '#database';
import { Outbox } from '#event-log';
import { currentTraceparent } from '#telemetry';
import { parseAudience, type AudienceInput } from '../audience.js';
import { CampaignNotFoundError } from '../campaigns.errors.js';
import { CampaignStore } from '../campaign.store.js';
import { ResolveAudience } from '../resolve-audience.js';
import { RunStore } from '../run.store.js';
import { expiresAfter } from '../ttl.js';
import { unrecordedTraceparent } from '../trace-id.js';

/** A run that was accepted, as the API shows it. */
export const acceptedRunSchema = z
  .object({ id: z.string(), campaign_id: z.string(), state: z.literal('triggered'), triggered_at: z.iso.datetime() })
  .meta({ id: 'AcceptedRun' });

export type AcceptedRun = z.infer<typeof acceptedRunSchema>;

/** Which campaign, and what is different about this run. */
export interface RunStart {
  readonly campaignId: string;
  readonly audience?: AudienceInput;
  readonly ttlSeconds?: number;
}

/**
 * Starts a run of a campaign inside the caller's transaction: the run and the record that starts its planning. Rule and content are
 * fixed now: what changes later changes later runs only.
 */
@Injectable()
export class StartRun {
  constructor(
    private readonly campaigns: CampaignStore,
    private readonly runs: RunStore,
    private readonly resolveAudience: ResolveAudience,
    private readonly outbox: Outbox,
    private readonly clock: Clock,
  ) {}

  /** @throws CampaignNotFoundError, AudienceSegmentNotFoundError */
  async start(environmentId: string, start: RunStart, tx: Transaction): Promise<AcceptedRun> {
    const campaign = await this.campaigns.find(environmentId, start.campaignId, tx);
    if (campaign === undefined) throw new CampaignNotFoundError();
    const audience = start.audience === undefined ? campaign.audience : parseAudience(start.audience);
    const rule = await this.resolveAudience.resolve(environmentId, audience, tx);
    const triggeredAt = this.clock.now();
    const run = {
      id: newUuid(triggeredAt.getTime()),
      campaignId: campaign.id,
      channels: campaign.channels,
      contentId: campaign.contentId,
      rule,
      messageKey: newUuid(triggeredAt.getTime()),
      expiresAt: expiresAfter(triggeredAt, start.ttlSeconds ?? campaign.ttlSeconds),
      traceparent: currentTraceparent() ?? unrecordedTraceparent(),
      triggeredAt,
    };
    await this.runs.insert(environmentId, run, tx);
    await this.outbox.append(campaignRunTriggeredV1, [{ environment_id: environmentId, run_id: run.id }], tx);
    return {
      id: encodeId('run', run.id),
      campaign_id: encodeId('campaign', campaign.id),
      state: 'triggered',
      triggered_at: triggeredAt.toISOString(),
    };
  }
}
