import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { Clock, newUuid } from '#contracts';
import { contentSchema, ContentStore, pickContent } from '#content';
import { Database } from '#database';
import { Idempotency, hashRequest, textSchema } from '#http';
import { audienceSchema, parseAudience } from '../audience.js';
import { CampaignStore } from '../campaign.store.js';
import { channelsSchema } from '../channels.js';
import { presentCampaign, type CampaignResource } from '../read-campaigns/campaign-resource.js';
import { ResolveAudience } from '../resolve-audience.js';
import { TTL_SECONDS_DEFAULT, ttlSecondsSchema } from '../ttl.js';

const NAME_CHARACTERS_MAX = 100;

/** Body of `POST /v1/campaigns`. */
export const createCampaignSchema = z
  .strictObject({
    name: textSchema({ min: 1, max: NAME_CHARACTERS_MAX }).optional().describe('For people; the beginning of the title when absent'),
    channels: channelsSchema,
    ...contentSchema.shape,
    audience: audienceSchema,
    ttl_seconds: ttlSecondsSchema.default(TTL_SECONDS_DEFAULT),
  })
  .meta({ id: 'CreateCampaign' });

export type CreateCampaignInput = z.infer<typeof createCampaignSchema>;

/** Creates campaigns. Content and audience are checked now, so that a trigger does not fail on what could be known before. */
@Injectable()
export class CreateCampaign {
  constructor(
    private readonly database: Database,
    private readonly campaigns: CampaignStore,
    private readonly contents: ContentStore,
    private readonly resolveAudience: ResolveAudience,
    private readonly idempotency: Idempotency,
    private readonly clock: Clock,
  ) {}

  /**
   * @throws AudienceSegmentNotFoundError, ContentTemplateInvalidError, IdempotencyKeyReusedError
   */
  async create(environmentId: string, input: CreateCampaignInput, key: string | undefined): Promise<CampaignResource> {
    const call = { environmentId, route: 'POST /v1/campaigns', key, requestHash: hashRequest(input) };
    return this.database.transaction((tx) =>
      this.idempotency.run(call, tx, async () => {
        const audience = parseAudience(input.audience);
        await this.resolveAudience.resolve(environmentId, audience, tx);
        const contentId = await this.contents.insert(environmentId, pickContent(input), tx);
        const campaign = {
          id: newUuid(),
          name: input.name ?? beginningOf(input.title),
          channels: input.channels,
          contentId,
          audience,
          ttlSeconds: input.ttl_seconds,
          createdAt: this.clock.now(),
        };
        await this.campaigns.insert(environmentId, campaign, tx);
        const content = await this.contents.find(environmentId, contentId, tx);
        if (content === undefined) throw new Error('A content that was just written is missing.');
        return presentCampaign(campaign, content);
      }),
    );
  }
}

/** Cuts between characters, never through a surrogate pair. */
function beginningOf(title: string): string {
  return [...title].slice(0, NAME_CHARACTERS_MAX).join('');
}
