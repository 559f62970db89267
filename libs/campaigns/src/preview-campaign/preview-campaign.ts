import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { contentSchema, ContentStore, renderContent } from '#content';
import { externalIdSchema, SubscriberNotFoundError, SubscriberStore } from '#subscribers';
import { CampaignNotFoundError } from '../campaigns.errors.js';
import { CampaignStore } from '../campaign.store.js';

/** Body of `POST /v1/campaigns/{campaign_id}/preview`. */
export const previewCampaignSchema = z.strictObject({ subscriber_id: externalIdSchema }).meta({ id: 'PreviewCampaign' });

/** A message as one subscriber would get it. */
export const previewResourceSchema = z.object(contentSchema.shape).meta({ id: 'CampaignPreview' });

export type PreviewResource = z.infer<typeof previewResourceSchema>;

/** Renders the message of a campaign for one subscriber. Writes and sends nothing. */
@Injectable()
export class PreviewCampaign {
  constructor(
    private readonly campaigns: CampaignStore,
    private readonly contents: ContentStore,
    private readonly subscribers: SubscriberStore,
  ) {}

  /** @throws CampaignNotFoundError, SubscriberNotFoundError, ContentRenderError */
  async preview(environmentId: string, campaignId: string, externalId: string): Promise<PreviewResource> {
    const campaign = await this.campaigns.find(environmentId, campaignId);
    if (campaign === undefined) throw new CampaignNotFoundError();
    const subscriber = await this.subscribers.findByExternalId(environmentId, externalId);
    if (subscriber === undefined) throw new SubscriberNotFoundError();
    const content = await this.contents.find(environmentId, campaign.contentId);
    if (content === undefined) throw new Error(`The content of campaign ${campaign.id} is missing.`);
    return { ...content.fields, ...renderContent(content, subscriber) };
  }
}
