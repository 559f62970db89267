import { z } from 'zod';
import { encodeId } from '#contracts';
import { contentSchema, type Content } from '#content';
import { audienceSchema, presentAudience } from '../audience.js';
import type { Campaign } from '../campaign.store.js';
import { CHANNELS } from '../channels.js';

/** A campaign as the API shows it: its content stands in it as it was written, templates unrendered. */
export const campaignResourceSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    channels: z.array(z.enum(CHANNELS)),
    ...contentSchema.shape,
    personalised: z.boolean().describe('True when the message differs between subscribers'),
    audience: audienceSchema,
    ttl_seconds: z.int(),
    created_at: z.iso.datetime(),
  })
  .meta({ id: 'Campaign' });

export type CampaignResource = z.infer<typeof campaignResourceSchema>;

/** Shows a campaign. */
export function presentCampaign(campaign: Campaign, content: Content): CampaignResource {
  return {
    id: encodeId('campaign', campaign.id),
    name: campaign.name,
    channels: [...campaign.channels],
    ...content.fields,
    personalised: content.personalised,
    audience: presentAudience(campaign.audience),
    ttl_seconds: campaign.ttlSeconds,
    created_at: campaign.createdAt.toISOString(),
  };
}
