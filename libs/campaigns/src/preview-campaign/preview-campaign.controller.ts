import { Body, Controller, Param, Post } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { z } from 'zod';
import { ContentRenderError } from '#content';
import { Returns, Throws } from '#http';
import { SubscriberNotFoundError } from '#subscribers';
import { CurrentEnvironment, RequireScope, type EnvironmentContext } from '#tenancy';
import { CampaignNotFoundError } from '../campaigns.errors.js';
import { parseCampaignId } from '../public-ids.js';
import { PreviewCampaign, previewCampaignSchema, previewResourceSchema, type PreviewResource } from './preview-campaign.js';

/** Shows a campaign's message as one subscriber would get it. */
@ApiTags('campaigns')
@Controller('v1/campaigns')
export class PreviewCampaignController {
  constructor(private readonly previewCampaign: PreviewCampaign) {}

  @Post(':campaign_id/preview')
  @ApiOperation({ summary: 'Preview a campaign for one subscriber' })
  @RequireScope('campaigns:read')
  @Returns(200, previewResourceSchema, 'The rendered message. Nothing was sent.')
  @Throws(CampaignNotFoundError, SubscriberNotFoundError, ContentRenderError)
  preview(
    @CurrentEnvironment() environment: EnvironmentContext,
    @Param('campaign_id') id: string,
    @Body({ schema: previewCampaignSchema }) body: z.infer<typeof previewCampaignSchema>,
  ): Promise<PreviewResource> {
    return this.previewCampaign.preview(environment.environmentId, parseCampaignId(id), body.subscriber_id);
  }
}
