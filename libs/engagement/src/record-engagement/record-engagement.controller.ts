import { Body, Controller, Post, Req } from '@nestjs/common';
import { ApiConsumes, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { ENGAGEMENT_KINDS } from '#contracts';
import { BodyBytesMax, JsonBodyAs, Public, Returns, Throws } from '#http';
import { BrowserFacing, RateLimitedError } from '#identity';
import { EngagementRateLimit } from '../engagement-rate-limit.js';
import { ENGAGEMENT_REFUSALS, RecordEngagement } from './record-engagement.js';

/** Items of one call. */
export const ENGAGEMENT_ITEMS_MAX = 100;

/** No more than browsers let a page send with `navigator.sendBeacon`. */
const BODY_BYTES_MAX = 65_536;

/**
 * Receipts and kinds are taken as any text: what is wrong with one item is said of that item, because a page that is being left sends
 * its batch once and cannot correct it.
 */
const engagementBatchSchema = z
  .strictObject({
    items: z
      .array(
        z.strictObject({
          receipt: z.string().meta({ description: 'The receipt of a message, from the push payload or the inbox API; unchanged.' }),
          kind: z.string().meta({ description: `One of ${ENGAGEMENT_KINDS.join(', ')}; not each can happen on each channel.` }),
          occurred_at: z.iso.datetime({ offset: true }).optional().meta({
            description: 'When it happened; now when left out. Moved to the trigger of the message if before it, and to now if after.',
          }),
        }),
      )
      .min(1)
      .max(ENGAGEMENT_ITEMS_MAX),
  })
  .meta({ id: 'EngagementBatch' });

const engagementResultSchema = z
  .object({
    accepted: z.int().min(0),
    refused: z.int().min(0),
    results: z.array(
      z.object({
        status: z.enum(['accepted', 'refused']),
        code: z.enum(ENGAGEMENT_REFUSALS).nullable().meta({ description: 'Why the item was refused; null when it was accepted.' }),
      }),
    ),
  })
  .meta({ id: 'EngagementResult' });

type EngagementBatch = z.infer<typeof engagementBatchSchema>;
type EngagementResult = z.infer<typeof engagementResultSchema>;

/** Where browsers, service workers and apps report what people did with their messages. */
@ApiTags('engagement')
@Controller('v1/engagement')
export class RecordEngagementController {
  constructor(
    private readonly recordEngagement: RecordEngagement,
    private readonly rateLimit: EngagementRateLimit,
  ) {}

  @Post()
  @BrowserFacing()
  @Public('The signed receipt of each item is the permission.')
  @JsonBodyAs('text/plain')
  @BodyBytesMax(BODY_BYTES_MAX)
  @ApiConsumes('application/json', 'text/plain')
  @ApiOperation({
    summary: 'Record engagement',
    description:
      'Takes JSON also as text/plain, so that `navigator.sendBeacon(url, JSON.stringify(batch))` works. Repeats of a receipt and kind count once. ' +
      'It counts only: a message of the inbox changes its state through the inbox API, which records seen, read and archived by itself.',
  })
  @Returns(202, engagementResultSchema, 'One result per item, in order. What was accepted is stored and counted soon.')
  @Throws(RateLimitedError)
  async record(
    @Body({ schema: engagementBatchSchema }) { items }: EngagementBatch,
    @Req() request: FastifyRequest,
  ): Promise<EngagementResult> {
    await this.rateLimit.countItems(request.ip, items.length);
    const refusals = await this.recordEngagement.record(
      items.map(({ receipt, kind, occurred_at: at }) => ({ receipt, kind, ...(at === undefined ? {} : { occurredAt: new Date(at) }) })),
    );
    const refused = refusals.filter((refusal) => refusal !== undefined).length;
    return {
      accepted: items.length - refused,
      refused,
      results: refusals.map((refusal) => ({ status: refusal === undefined ? 'accepted' : 'refused', code: refusal ?? null })),
    };
  }
}
