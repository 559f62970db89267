import { Controller, Get, Res } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { HealthRegistry, type HealthReport } from './health.js';
import { PROBLEM_MEDIA_TYPE } from './problem.js';
import { Returns } from './returns.js';
import { Public } from './routes.js';

const liveSchema = z.object({ status: z.literal('live') }).meta({ id: 'HealthLive' });

const readySchema = z
  .object({
    status: z.enum(['ready', 'not_ready']),
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
  @Returns(200, readySchema, 'The process can work. 503 with the same body otherwise.')
  async ready(@Res({ passthrough: true }) reply: FastifyReply): Promise<object> {
    const report = await this.registry.check();
    if (report.ready) return { status: 'ready', parts: report.parts } satisfies z.infer<typeof readySchema>;
    void reply.code(503).header('content-type', PROBLEM_MEDIA_TYPE).header('retry-after', '1');
    return notReady(report);
  }
}

/** Looks like a problem, so that generic clients show it, and names each part. */
function notReady(report: HealthReport): object {
  const broken = report.parts.filter((part) => !part.ok).map((part) => part.name);
  return {
    type: 'about:blank',
    title: 'Not ready',
    status: 503,
    detail: `Not working: ${broken.join(', ')}.`,
    code: 'not_ready',
    parts: report.parts,
  };
}
