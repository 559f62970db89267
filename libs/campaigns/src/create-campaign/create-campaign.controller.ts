import { Body, Controller, Post } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { ContentTemplateInvalidError } from '#content';
import { IdempotencyKey, IdempotencyKeyInvalidError, IdempotencyKeyReusedError, Returns, Throws } from '#http';
import { CurrentEnvironment, RequireScope, type EnvironmentContext } from '#tenancy';
import { AudienceSegmentNotFoundError } from '../campaigns.errors.js';
import { campaignResourceSchema, type CampaignResource } from '../read-campaigns/campaign-resource.js';
import { CreateCampaign, createCampaignSchema, type CreateCampaignInput } from './create-campaign.js';

/** Creates campaigns. */
@ApiTags('campaigns')
@Controller('v1/campaigns')
export class CreateCampaignController {
  constructor(private readonly createCampaign: CreateCampaign) {}

  @Post()
  @ApiOperation({ summary: 'Create a campaign' })
  @RequireScope('campaigns:write')
  @Returns(201, campaignResourceSchema, 'The campaign; nothing is sent before it is triggered.')
  @Throws(AudienceSegmentNotFoundError, ContentTemplateInvalidError, IdempotencyKeyInvalidError, IdempotencyKeyReusedError)
  create(
    @CurrentEnvironment() environment: EnvironmentContext,
    @Body({ schema: createCampaignSchema }) body: CreateCampaignInput,
    @IdempotencyKey() key: string | undefined,
  ): Promise<CampaignResource> {
    return this.createCampaign.create(environment.environmentId, body, key);
  }
}
