import { Readable } from 'node:stream';
import { Body, Controller, Post, Res } from '@nestjs/common';
import { ApiBody, ApiOperation, ApiProduces, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { Returns, StreamedBody } from '#http';
import { CurrentEnvironment, type EnvironmentContext, RequireScope } from '#tenancy';
import { BULK_BODY_BYTES_MAX, BULK_LINES_MAX } from '../subscribers.limits.js';
import { BulkSave, type LineResult } from './bulk-save.js';

const NDJSON = 'application/x-ndjson';

const lineResultSchema = z
  .object({
    line: z.int().min(1).meta({ description: 'Number of the line, counted from 1, blank ones included.' }),
    external_id: z.string().nullable(),
    status: z.enum(['created', 'updated', 'rejected']),
    code: z.string().optional().meta({ description: 'Why the line was rejected.' }),
    message: z.string().optional(),
  })
  .meta({ id: 'BulkLineResult', description: 'What became of one line; the answer has one such object per line.' });

/** Creates and changes many subscribers at once. */
@ApiTags('Subscribers')
@Controller('v1/subscribers')
export class BulkSaveController {
  constructor(private readonly bulkSave: BulkSave) {}

  @Post('bulk')
  @RequireScope('subscribers:write')
  @ApiOperation({
    summary: 'Create or change many subscribers',
    description:
      `One JSON object per line, at most ${BULK_LINES_MAX} lines: \`external_id\` and the fields of a single change. Lines are written in ` +
      'batches of 1,000; each line is answered by one line, also where others are rejected. The answer ends early only when the connection broke.',
  })
  @ApiBody({ required: true, schema: { type: 'string' } })
  @ApiProduces(NDJSON)
  @StreamedBody([NDJSON], BULK_BODY_BYTES_MAX)
  @Returns(200, lineResultSchema, 'One line per line of the request, as soon as its batch is written.')
  async handle(
    @CurrentEnvironment() environment: EnvironmentContext,
    @Body() body: Readable | undefined,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const results = this.bulkSave.save(environment.environmentId, body ?? Readable.from([]));
    // Whatever fails before the first batch is answered as a problem; from then on the status is sent and only the connection can tell.
    const first = await results.next();
    await reply.type(NDJSON).send(first.done === true ? '' : streamResults(first.value, results));
  }
}

/**
 * Writes results as they come and never waits for the reader: a client that sends its whole body before it reads would wait for us while
 * we wait for it. What piles up is bounded by `BULK_LINES_MAX`.
 */
function streamResults(first: readonly LineResult[], others: AsyncGenerator<readonly LineResult[]>): Readable {
  const output = new Readable({ read: () => undefined });
  const write = (results: readonly LineResult[]) => output.push(results.map(presentResult).join(''));
  const writeAll = async (): Promise<void> => {
    write(first);
    for await (const results of others) {
      if (output.destroyed) return;
      write(results);
    }
    output.push(null);
  };
  writeAll().catch((error: Error) => output.destroy(error));
  return output;
}

function presentResult(result: LineResult): string {
  const { line, externalId, status } = result;
  const refusal = status === 'rejected' ? { code: result.code, message: result.message } : {};
  return `${JSON.stringify({ line, external_id: externalId, status, ...refusal })}\n`;
}
