import { Controller, Param, Post } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { Returns, Throws } from '#http';
import { CurrentEnvironment, RequireScope, type EnvironmentContext } from '#tenancy';
import { RunNotFoundError, RunStateConflictError } from '../campaigns.errors.js';
import { parseRunId } from '../public-ids.js';
import { ReadRuns } from '../read-runs/read-runs.js';
import { runResourceSchema, type RunResource } from '../read-runs/run-resource.js';
import { ControlRun } from './control-run.js';

/** Pause, resume and cancel; each answers the run as it is afterwards. */
@ApiTags('runs')
@Controller('v1/runs/:run_id')
export class ControlRunController {
  constructor(
    private readonly controlRun: ControlRun,
    private readonly readRuns: ReadRuns,
  ) {}

  @Post('pause')
  @ApiOperation({ summary: 'Pause a run' })
  @RequireScope('campaigns:write')
  @Returns(200, runResourceSchema, 'The paused run. Pausing a paused run changes nothing; 409 when it is being cancelled or over.')
  @Throws(RunNotFoundError, RunStateConflictError)
  async pause(@CurrentEnvironment() { environmentId }: EnvironmentContext, @Param('run_id') id: string): Promise<RunResource> {
    await this.controlRun.pause(environmentId, parseRunId(id));
    return this.readRuns.read(environmentId, parseRunId(id));
  }

  @Post('resume')
  @ApiOperation({ summary: 'Resume a run' })
  @RequireScope('campaigns:write')
  @Returns(200, runResourceSchema, 'The open run. Resuming an open run changes nothing; 409 when it is being cancelled or over.')
  @Throws(RunNotFoundError, RunStateConflictError)
  async resume(@CurrentEnvironment() { environmentId }: EnvironmentContext, @Param('run_id') id: string): Promise<RunResource> {
    await this.controlRun.resume(environmentId, parseRunId(id));
    return this.readRuns.read(environmentId, parseRunId(id));
  }

  @Post('cancel')
  @ApiOperation({ summary: 'Cancel a run' })
  @RequireScope('campaigns:write')
  @Returns(200, runResourceSchema, 'The run, cancelled or being cancelled. A run that is over is answered unchanged.')
  @Throws(RunNotFoundError)
  async cancel(@CurrentEnvironment() { environmentId }: EnvironmentContext, @Param('run_id') id: string): Promise<RunResource> {
    await this.controlRun.cancel(environmentId, parseRunId(id));
    return this.readRuns.read(environmentId, parseRunId(id));
  }
}
