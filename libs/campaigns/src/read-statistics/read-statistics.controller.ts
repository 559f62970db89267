import { Controller, Get, Param } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { Returns, Throws } from '#http';
import { CurrentEnvironment, RequireScope, type EnvironmentContext } from '#tenancy';
import { CampaignNotFoundError } from '../campaigns.errors.js';
import { parseCampaignId } from '../public-ids.js';
import { campaignStatisticsSchema, ReadStatistics, type CampaignStatistics } from './read-statistics.js';

/** What became of a campaign as a whole. */
@ApiTags('campaigns')
@Controller('v1/campaigns/:campaign_id/statistics')
export class ReadStatisticsController {
  constructor(private readonly readStatistics: ReadStatistics) {}

  @Get()
  @ApiOperation({ summary: 'Read the statistics of a campaign' })
  @RequireScope('campaigns:read')
  @Returns(200, campaignStatisticsSchema, 'The counts and the engagement of all runs, summed.')
  @Throws(CampaignNotFoundError)
  read(@CurrentEnvironment() environment: EnvironmentContext, @Param('campaign_id') id: string): Promise<CampaignStatistics> {
    return this.readStatistics.read(environment.environmentId, parseCampaignId(id));
  }
}
