import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { CursorInvalidError, pageSchema, Returns, Throws, type Page, type PageQuery } from '#http';
import { CurrentEnvironment, RequireScope, type EnvironmentContext } from '#tenancy';
import { CampaignNotFoundError, RunNotFoundError } from '../campaigns.errors.js';
import { parseCampaignId, parseRunId } from '../public-ids.js';
import { ReadRuns, runQuerySchema } from './read-runs.js';
import { runResourceSchema, type RunResource } from './run-resource.js';

/** Runs with their exact counts. */
@ApiTags('runs')
@Controller('v1')
export class ReadRunsController {
  constructor(private readonly readRuns: ReadRuns) {}

  @Get('runs/:run_id')
  @ApiOperation({ summary: 'Read a run' })
  @RequireScope('campaigns:read')
  @Returns(200, runResourceSchema, 'The run with its counts, progress and rate.')
  @Throws(RunNotFoundError)
  read(@CurrentEnvironment() environment: EnvironmentContext, @Param('run_id') id: string): Promise<RunResource> {
    return this.readRuns.read(environment.environmentId, parseRunId(id));
  }

  @Get('campaigns/:campaign_id/runs')
  @ApiOperation({ summary: 'List the runs of a campaign' })
  @RequireScope('campaigns:read')
  @Returns(200, pageSchema(runResourceSchema, 'RunPage'), 'The runs of the campaign, newest first.')
  @Throws(CampaignNotFoundError, CursorInvalidError)
  list(
    @CurrentEnvironment() environment: EnvironmentContext,
    @Param('campaign_id') id: string,
    @Query({ schema: runQuerySchema }) query: PageQuery,
  ): Promise<Page<RunResource>> {
    return this.readRuns.list(environment.environmentId, parseCampaignId(id), query);
  }
}
