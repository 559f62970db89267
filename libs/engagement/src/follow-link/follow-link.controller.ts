import { Controller, Get, Param, Query, Req, Res } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { Public, Returns, Throws } from '#http';
import { RateLimitedError } from '#identity';
import { EngagementRateLimit } from '../engagement-rate-limit.js';
import { EngagementLinkNotFoundError } from '../engagement.errors.js';
import { FollowLink } from './follow-link.js';

const ACTION_ID_CHARACTERS_MAX = 64;

const followLinkQuerySchema = z.strictObject({
  action: z.string().max(ACTION_ID_CHARACTERS_MAX).optional().meta({ description: 'Id of the action that was chosen.' }),
});

/** Short links of messages. */
@ApiTags('engagement')
@Controller('v1/c')
export class FollowLinkController {
  constructor(
    private readonly followLink: FollowLink,
    private readonly rateLimit: EngagementRateLimit,
  ) {}

  @Get(':receipt')
  @Public('The signed receipt in the path is the permission.')
  @ApiOperation({
    summary: 'Follow the link of a message',
    description: 'Leads where the content of the message says, rendered for its subscriber, and records that it was clicked.',
  })
  @Returns(302, null, '`Location` is the address of the message or of the chosen action.')
  @Throws(EngagementLinkNotFoundError, RateLimitedError)
  async follow(
    @Param('receipt') receipt: string,
    @Query({ schema: followLinkQuerySchema }) { action }: z.infer<typeof followLinkQuerySchema>,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<void> {
    await this.rateLimit.countItems(request.ip, 1);
    const call = { receipt, isClick: isClick(request), ...(action === undefined ? {} : { actionId: action }) };
    reply.header('location', await this.followLink.follow(call));
  }
}

/** Link checkers ask with HEAD, browsers that fetch ahead say so. */
function isClick({ method, headers }: Pick<FastifyRequest, 'method' | 'headers'>): boolean {
  const purpose = headers['sec-purpose'] ?? headers['purpose'] ?? '';
  return method === 'GET' && !String(purpose).includes('prefetch');
}
