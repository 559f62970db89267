import { Body, Controller, Post, Req, Res } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { Public, Returns, TakesAnyText, textSchema, Throws } from '#http';
import { EXTERNAL_ID_JSON_SCHEMA } from '#subscribers';
import { BrowserFacing } from '../browser-origins/browser-facing.js';
import { admitOrigin, pageOriginOf } from '../browser-origins/browser-origins.js';
import { OriginNotAllowedError, RateLimitedError } from '../identity.errors.js';
import { sdkOf } from '../policy/sdk-header.js';
import { PROOF_REFUSALS } from '../verify/refusal-error.js';
import { type OpenedSession, OpenSession } from './open-session.js';
import { RefreshSession } from './refresh-session.js';
import { CurrentSession, RequireSession, SessionExpiresAt } from './require-session.js';
import { StreamTickets } from './stream-tickets.js';
import { type Session, SESSION_SCOPES } from './session.js';

const PUBLIC_KEY_LENGTH_MAX = 255;

/** The parts of the proof are taken as they come: what is wrong with them is the verifier's verdict, not a fault of the body. */
const openSessionSchema = z
  .strictObject({
    public_key: textSchema({ max: PUBLIC_KEY_LENGTH_MAX }).meta({ description: 'The public key `pk_…` of the environment.' }),
    subscriber_id: z
      .unknown()
      .optional()
      .meta({
        ...EXTERNAL_ID_JSON_SCHEMA,
        description: 'Your own id of the person, at most 255 bytes in UTF-8; taken byte for byte. Beside a token it may be left out.',
      }),
    subscriber_hash: z.unknown().optional().meta({
      type: 'string',
      description:
        'HMAC-SHA256 under an identity secret, as hex, base64 or base64url: of the UTF-8 bytes of subscriber_id, or of a text with the timestamp in it.',
    }),
    timestamp: z.unknown().optional().meta({
      type: 'integer',
      description: 'Unix seconds, at most 300 old. For grade `fresh` the hash covers it: v2 text, or `subscriber_id.timestamp`.',
    }),
    traits: z
      .unknown()
      .optional()
      .meta({ type: 'object', description: 'For grade `traits` the v2 text covers the SHA-256 of their canonical JSON.' }),
    token: z.unknown().optional().meta({
      type: 'string',
      minLength: 1,
      description:
        'In place of subscriber_hash a JWT (HS256, RS256, ES256, EdDSA): `iss` is public_key, `aud` names scopes, `sub` is the subscriber id.',
    }),
    scopes: z
      .array(z.enum(SESSION_SCOPES))
      .min(1)
      .max(SESSION_SCOPES.length)
      .optional()
      .meta({ description: 'What the session is for; everything that the proof and the policies are good for where it is left out.' }),
  })
  .meta({ id: 'OpenSession', anyOf: [{ required: ['subscriber_id'] }, { required: ['token'] }] });

const sessionSchema = z
  .object({
    token: z.string().meta({ description: 'Send it as "Authorization: Bearer <token>".' }),
    expires_at: z.string().meta({ description: 'RFC 3339; refresh the session before.' }),
    subscriber: z.object({ external_id: z.string() }),
    scopes: z.array(z.enum(SESSION_SCOPES)).meta({ description: 'Where the session is let in; read it, it may be less than you think.' }),
    verified: z.boolean().meta({ description: 'Did a proof open it? False only where a policy does not enforce one.' }),
  })
  .meta({ id: 'Session' });

const ticketSchema = z.object({ ticket: z.string(), expires_at: z.string() }).meta({ id: 'StreamTicket' });

type OpenSessionBody = z.infer<typeof openSessionSchema>;
type SessionView = z.infer<typeof sessionSchema>;

/** Sessions of browsers. */
@ApiTags('Sessions')
@Controller('v1/session')
export class SessionController {
  constructor(
    private readonly opening: OpenSession,
    private readonly refreshing: RefreshSession,
    private readonly tickets: StreamTickets,
  ) {}

  @Post()
  @BrowserFacing()
  @TakesAnyText()
  @Public('The proof of identity in the body is the permission.')
  @ApiOperation({
    summary: 'Open a session',
    description: 'Exchanges a proof of identity for a token of 15 minutes. Creates the subscriber when the proof is good.',
  })
  @Returns(201, sessionSchema, 'The session.')
  @Throws(...PROOF_REFUSALS, OriginNotAllowedError, RateLimitedError)
  async open(
    @Body({ schema: openSessionSchema }) body: OpenSessionBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SessionView> {
    const session = await this.opening.run({
      publicKey: body.public_key,
      proof: {
        kind: 'subscriber',
        id: body.subscriber_id,
        hash: body.subscriber_hash,
        timestamp: body.timestamp,
        traits: body.traits,
        token: body.token,
      },
      scopes: body.scopes,
      address: request.ip,
      page: pageOriginOf(request),
      sdk: sdkOf(request),
      admitOrigin: (environment) => admitOrigin(environment, request, reply),
    });
    return presentSession(session);
  }

  @Post('refresh')
  @RequireSession()
  @ApiOperation({
    summary: 'Refresh a session',
    description: 'A new token for the same session, for at most 12 hours after the proof, or for less where the installation says so.',
  })
  @Returns(201, sessionSchema, 'The session with its new token.')
  async refresh(@CurrentSession() session: Session): Promise<SessionView> {
    return presentSession(await this.refreshing.run(session));
  }

  @Post('ticket')
  @RequireSession()
  @ApiOperation({
    summary: 'Get a ticket for a stream',
    description:
      'For EventSource, which cannot send headers: put it into the query of the stream as `ticket`. It is good once, within 30 seconds.',
  })
  @Returns(201, ticketSchema, 'The ticket.')
  async ticket(@CurrentSession() session: Session, @SessionExpiresAt() expiresAt: Date): Promise<z.infer<typeof ticketSchema>> {
    const issued = await this.tickets.issue(session, expiresAt);
    return { ticket: issued.ticket, expires_at: issued.expiresAt.toISOString() };
  }
}

function presentSession(session: OpenedSession): SessionView {
  return {
    token: session.token,
    expires_at: session.expiresAt.toISOString(),
    subscriber: { external_id: session.externalId },
    scopes: [...session.scopes],
    verified: session.verified,
  };
}
