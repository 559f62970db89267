import { Controller, Get, Headers, Param, Res } from '@nestjs/common';
import { ApiHeader, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { openEventStream, ReturnsEventStream, Throws } from '#http';
import { CurrentEnvironment, RequireScope, type EnvironmentContext } from '#tenancy';
import { RunNotFoundError } from '../campaigns.errors.js';
import { parseRunId } from '../public-ids.js';
import { ReadRuns } from '../read-runs/read-runs.js';
import { runResourceSchema, type RunResource } from '../read-runs/run-resource.js';
import { isTerminal } from '../run-state.js';
import { RunProgressHub } from './run-progress-hub.js';

/** Id of a stream's last event. A browser that reconnects after it is told to stop. */
const END_EVENT_ID = 'end';

/** Streams the progress of runs as server-sent events. */
@ApiTags('runs')
@Controller('v1/runs')
export class StreamRunController {
  constructor(
    private readonly readRuns: ReadRuns,
    private readonly hub: RunProgressHub,
  ) {}

  @Get(':run_id/stream')
  @ApiOperation({ summary: 'Watch a run' })
  @ApiHeader({ name: 'Last-Event-ID', required: false, description: 'Sent by browsers that reconnect; after the end of the run: 204.' })
  @RequireScope('campaigns:read')
  @ReturnsEventStream(
    { run: runResourceSchema },
    'Events `run`, each with the whole run: one at once, then one per change, until the run is over.',
  )
  @ApiResponse({ status: 204, description: 'The run was over when `Last-Event-ID` was sent: do not reconnect.' })
  @Throws(RunNotFoundError)
  async stream(
    @CurrentEnvironment() { environmentId }: EnvironmentContext,
    @Param('run_id') id: string,
    @Headers('last-event-id') lastEventId: string | undefined,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const runId = parseRunId(id);
    const run = await this.readRuns.read(environmentId, runId);
    if (lastEventId === END_EVENT_ID && isTerminal(run.state)) return void reply.code(204).send();
    const stream = openEventStream(reply);
    const send = (changed: RunResource): boolean =>
      stream.send({ event: 'run', data: changed, ...(isTerminal(changed.state) && { id: END_EVENT_ID }) });
    send(run);
    if (isTerminal(run.state)) return stream.close();
    stream.onClose(this.hub.watch(environmentId, runId, { onChange: send, onEnd: () => stream.close() }));
  }
}
