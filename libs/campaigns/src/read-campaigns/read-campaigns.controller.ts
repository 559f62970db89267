import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { CursorInvalidError, pageSchema, Returns, Throws, type Page, type PageQuery } from '#http';
import { CurrentEnvironment, RequireScope, type EnvironmentContext } from '#tenancy';
import { CampaignNotFoundError } from '../campaigns.errors.js';
import { parseCampaignId } from '../public-ids.js';
import { campaignResourceSchema, type CampaignResource } from './campaign-resource.js';
import { ReadCampaigns, campaignQuerySchema } from './read-campaigns.js';

/** Campaigns with their content. */
@ApiTags('campaigns')
@Controller('v1/campaigns')
export class ReadCampaignsController {
  constructor(private readonly readCampaigns: ReadCampaigns) {}

  @Get(':campaign_id')
  @ApiOperation({ summary: 'Read a campaign' })
  @RequireScope('campaigns:read')
  @Returns(200, campaignResourceSchema, 'The campaign.')
  @Throws(CampaignNotFoundError)
  read(@CurrentEnvironment() environment: EnvironmentContext, @Param('campaign_id') id: string): Promise<CampaignResource> {
    return this.readCampaigns.read(environment.environmentId, parseCampaignId(id));
  }

  @Get()
  @ApiOperation({ summary: 'List campaigns' })
  @RequireScope('campaigns:read')
  @Returns(200, pageSchema(campaignResourceSchema, 'CampaignPage'), 'Campaigns, newest first.')
  @Throws(CursorInvalidError)
  list(
    @CurrentEnvironment() environment: EnvironmentContext,
    @Query({ schema: campaignQuerySchema }) query: PageQuery,
  ): Promise<Page<CampaignResource>> {
    return this.readCampaigns.list(environment.environmentId, query);
  }
}
