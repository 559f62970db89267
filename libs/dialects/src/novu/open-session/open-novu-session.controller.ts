import { Body, Controller, Post, Req, Res } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { PresentsProblems, Public, Returns } from '#http';
import { admitOrigin, BrowserFacing, pageOriginOf } from '#identity';
import { novuSessionProblem } from '../novu-problem.js';
import { NovuProblems, sdkOfNovu } from '../novu-route.js';
import { canonicalContext, contextDigestOf, contextKeysOf } from './novu-context.js';
import { type NovuSessionBody, novuSessionBodySchema, personOf } from './novu-session-body.js';
import { OpenNovuSession } from './open-novu-session.js';

const count = z.int().min(0);

const novuSessionSchema = z
  .object({
    data: z.object({
      token: z.string().meta({
        description:
          'Send it as "Authorization: Bearer <token>"; good for 12 hours, or for less where the installation says so, and only for the inbox.',
      }),
      applicationIdentifier: z.string().meta({ description: 'The public key that was sent.' }),
      totalUnreadCount: count,
      unreadCount: z.object({
        total: count.meta({ description: 'Unread messages; 100 stands for 100 or more.' }),
        severity: z
          .object({ high: count, medium: count, low: count, none: count })
          .meta({ description: 'Messages here have no severity: all are `none`.' }),
      }),
      removeNovuBranding: z.boolean(),
      isDevelopmentMode: z.boolean().meta({ description: 'True in environments that are not production.' }),
      maxSnoozeDurationHours: z.int().meta({ description: '0: messages cannot be snoozed, and the client offers it not.' }),
      contextKeys: z.array(z.string()).meta({ description: '`type:id` of the proven context, sorted.' }),
    }),
  })
  .meta({ id: 'NovuSession' });

/** Sessions of `@novu/js` and what is built on it. */
@ApiTags('Dialect: Novu')
@Controller('v1/inbox/session')
export class OpenNovuSessionController {
  constructor(private readonly opening: OpenNovuSession) {}

  @Post()
  @BrowserFacing()
  @Public('The hashes in the body are the permission.')
  @ApiOperation({
    summary: 'Open a session as Novu clients do',
    description:
      'Exchanges a subscriberHash for a token that is good for the routes under /v1/inbox/notifications. A context needs a contextHash; no message here has a context, so a session with one sees none. Profile fields are taken only with a valid hash. An unknown environment, an unknown person and a wrong hash get the same answer.',
  })
  @Returns(201, novuSessionSchema, 'The session.')
  @NovuProblems({
    400: 'The hash is missing or wrong.',
    403: 'The origin of the page is not allowed.',
    422: 'The body is not valid.',
    429: 'Too many calls.',
  })
  @PresentsProblems(novuSessionProblem)
  async open(
    @Body({ schema: novuSessionBodySchema }) body: NovuSessionBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<z.infer<typeof novuSessionSchema>> {
    const { applicationIdentifier, subscriberHash, context, contextHash } = body;
    const { id, profile } = personOf(body);
    const contextKeys = contextKeysOf(context ?? {});
    const { token, environment, unread } = await this.opening.run({
      publicKey: applicationIdentifier,
      id,
      hash: subscriberHash,
      profile,
      ...(context === undefined || context === null
        ? {}
        : { context: { canonical: canonicalContext(context), hash: contextHash, digest: contextDigestOf(contextKeys) } }),
      address: request.ip,
      page: pageOriginOf(request),
      sdk: sdkOfNovu(request),
      admitOrigin: (admitted) => admitOrigin(admitted, request, reply),
    });
    return {
      data: {
        token,
        applicationIdentifier,
        totalUnreadCount: unread,
        unreadCount: { total: unread, severity: { high: 0, medium: 0, low: 0, none: unread } },
        removeNovuBranding: true,
        isDevelopmentMode: environment.kind !== 'production',
        maxSnoozeDurationHours: 0,
        contextKeys,
      },
    };
  }
}
