import { Body, Controller, Post, Req, Res } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { Public, Returns, textSchema, Throws } from '#http';
import { EXTERNAL_ID_BYTES_MAX } from '#subscribers';
import { BrowserFacing } from '../browser-origins/browser-facing.js';
import { admitOrigin } from '../browser-origins/browser-origins.js';
import { IdentityRejectedError, OriginNotAllowedError, RateLimitedError, SubscriberIdNotStringError } from '../identity.errors.js';
import { type OpenedSession, OpenSession } from './open-session.js';
import { RefreshSession } from './refresh-session.js';
import { CurrentSession, RequireSession } from './require-session.js';
import type { Session } from './session.js';

const PUBLIC_KEY_LENGTH_MAX = 255;

/** The two parts of the proof are taken as they come: what is wrong with them is the verifier's verdict, not a fault of the body. */
const openSessionSchema = z
  .strictObject({
    public_key: textSchema({ max: PUBLIC_KEY_LENGTH_MAX }).meta({ description: 'The public key `pk_…` of the environment.' }),
    subscriber_id: z.unknown().meta({
      type: 'string',
      minLength: 1,
      maxLength: EXTERNAL_ID_BYTES_MAX,
      description: 'Your own id of the person, at most 255 bytes in UTF-8; taken byte for byte.',
    }),
    subscriber_hash: z.unknown().optional().meta({
      type: 'string',
      description: 'HMAC-SHA256 of the UTF-8 bytes of subscriber_id under an identity secret, as hex, base64 or base64url.',
    }),
  })
  .meta({ id: 'OpenSession' });

const sessionSchema = z
  .object({
    token: z.string().meta({ description: 'Send it as "Authorization: Bearer <token>".' }),
    expires_at: z.string().meta({ description: 'RFC 3339; refresh the session before.' }),
    subscriber: z.object({ external_id: z.string() }),
  })
  .meta({ id: 'Session' });

type OpenSessionBody = z.infer<typeof openSessionSchema>;
type SessionView = z.infer<typeof sessionSchema>;

/** Sessions of browsers. */
@ApiTags('Sessions')
@Controller('v1/session')
export class SessionController {
  constructor(
    private readonly opening: OpenSession,
    private readonly refreshing: RefreshSession,
  ) {}

  @Post()
  @BrowserFacing()
  @Public('The proof of identity in the body is the permission.')
  @ApiOperation({
    summary: 'Open a session',
    description: 'Exchanges a proof of identity for a token of 15 minutes. Creates the subscriber when the proof is good.',
  })
  @Returns(201, sessionSchema, 'The session.')
  @Throws(SubscriberIdNotStringError, IdentityRejectedError, OriginNotAllowedError, RateLimitedError)
  async open(
    @Body({ schema: openSessionSchema }) body: OpenSessionBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SessionView> {
    const session = await this.opening.run({
      publicKey: body.public_key,
      subscriberId: body.subscriber_id,
      subscriberHash: body.subscriber_hash,
      address: request.ip,
      admitOrigin: (environment) => admitOrigin(environment, request, reply),
    });
    return presentSession(session);
  }

  @Post('refresh')
  @RequireSession()
  @ApiOperation({ summary: 'Refresh a session', description: 'A new token for the same session, for at most 12 hours after the proof.' })
  @Returns(201, sessionSchema, 'The session with its new token.')
  async refresh(@CurrentSession() session: Session): Promise<SessionView> {
    return presentSession(await this.refreshing.run(session));
  }
}

function presentSession(session: OpenedSession): SessionView {
  return { token: session.token, expires_at: session.expiresAt.toISOString(), subscriber: { external_id: session.externalId } };
}
