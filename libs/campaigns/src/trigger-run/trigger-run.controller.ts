import { Body, Controller, Param, Post } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { IdempotencyKey, IdempotencyKeyInvalidError, IdempotencyKeyReusedError, Returns, Throws } from '#http';
import { CurrentEnvironment, RequireScope, type EnvironmentContext } from '#tenancy';
import { AudienceSegmentNotFoundError, CampaignNotFoundError } from '../campaigns.errors.js';
import { parseCampaignId } from '../public-ids.js';
import { acceptedRunSchema, type AcceptedRun } from './start-run.js';
import { TriggerRun, triggerRunSchema, type TriggerRunInput } from './trigger-run.js';

/** Triggers campaigns. */
@ApiTags('campaigns')
@Controller('v1/campaigns')
export class TriggerRunController {
  constructor(private readonly triggerRun: TriggerRun) {}

  @Post(':campaign_id/trigger')
  @ApiOperation({ summary: 'Trigger a campaign' })
  @RequireScope('campaigns:write')
  @Returns(202, acceptedRunSchema, 'The run was accepted and is durable. The same Idempotency-Key gives the same run.')
  @Throws(CampaignNotFoundError, AudienceSegmentNotFoundError, IdempotencyKeyInvalidError, IdempotencyKeyReusedError)
  trigger(
    @CurrentEnvironment() environment: EnvironmentContext,
    @Param('campaign_id') id: string,
    @Body({ schema: triggerRunSchema }) input: TriggerRunInput,
    @IdempotencyKey() key: string | undefined,
  ): Promise<AcceptedRun> {
    return this.triggerRun.trigger(environment.environmentId, { campaignId: parseCampaignId(id), input, key });
  }
}
