import { Controller, Get, Res } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { HealthRegistry } from './health.js';
import { NotReadyError } from './http.errors.js';
import { classifyError } from './problem.js';
import { sendProblem } from './problem.filter.js';
import { Returns } from './returns.js';
import { Public, Throws } from './routes.js';

const liveSchema = z.object({ status: z.literal('live') }).meta({ id: 'HealthLive' });

const readySchema = z
  .object({
    status: z.literal('ready'),
    parts: z.array(z.object({ name: z.string(), ok: z.boolean(), reason: z.string().optional() })).readonly(),
  })
  .meta({ id: 'HealthReady' });

/** Answers probes. Live means that the event loop turns; ready means that requests and records can be worked on. */
@ApiTags('operations')
@Controller('health')
export class HealthController {
  constructor(private readonly registry: HealthRegistry) {}

  @Get('live')
  @ApiOperation({ operationId: 'readLiveness', summary: 'Tells whether the process is alive' })
  @Public('probes have no credentials')
  @Returns(200, liveSchema, 'The process is alive.')
  live(): z.infer<typeof liveSchema> {
    return { status: 'live' };
  }

  @Get('ready')
  @ApiOperation({ operationId: 'readReadiness', summary: 'Tells whether the process can work, and which part prevents it' })
  @Public('probes have no credentials')
  @Returns(200, readySchema, 'The process can work.')
  @Throws(NotReadyError)
  async ready(@Res() reply: FastifyReply): Promise<void> {
    const { ready, parts } = await this.registry.check();
    if (ready) void reply.send({ status: 'ready', parts } satisfies z.infer<typeof readySchema>);
    // Sent, not thrown: probes come every few seconds, and what a part suffers from is logged by the part.
    else sendProblem(reply, classifyError(new NotReadyError(parts)), reply.request.id);
  }
}
