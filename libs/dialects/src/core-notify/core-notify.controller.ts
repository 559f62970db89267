import { Body, Controller, Get, HttpCode, HttpStatus, Post, Query, Req, Res } from '@nestjs/common';
import { ApiConsumes, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { EngagementRateLimit } from '#engagement';
import { JsonBodyAs, Public, Returns, Throws } from '#http';
import { admitOrigin, BrowserFacing, OriginNotAllowedError, pageOriginOf, PROOF_REFUSALS, RateLimitedError, sdkOf } from '#identity';
import {
  deviceResourceSchema,
  presentDevice,
  PushEndpointNotAllowedError,
  PushEnvironmentNotFoundError,
  PushSubscriptionUnprovenError,
  ReadVapidKey,
  RenewRateLimit,
} from '#push';
import type { Environment } from '#tenancy';
import {
  type ClickBody,
  clickBodySchema,
  type EventBody,
  eventBodySchema,
  pixelQuerySchema,
  type SubscribeBody,
  subscribeBodySchema,
  type UnsubscribeBody,
  unsubscribeBodySchema,
} from './core-notify-body.js';
import { PixelEventRefusedError } from './core-notify.errors.js';
import { ReportEngagement } from './report-engagement.js';
import { SubscribeVisitor } from './subscribe-visitor.js';
import { UnsubscribeVisitor } from './unsubscribe-visitor.js';

const vapidKeySchema = z
  .object({ public_key: z.string().meta({ description: '`applicationServerKey` of PushManager.subscribe(), base64url.' }) })
  .meta({ id: 'PixelVapidKey' });

/** What core-notify's pages and service workers call: a public key, no session. */
@ApiTags('core-notify')
@BrowserFacing()
@Controller('v1/core-notify')
export class CoreNotifyController {
  constructor(
    private readonly vapidKeys: ReadVapidKey,
    private readonly subscribeVisitor: SubscribeVisitor,
    private readonly unsubscribeVisitor: UnsubscribeVisitor,
    private readonly reportEngagement: ReportEngagement,
    private readonly pushRateLimit: RenewRateLimit,
    private readonly engagementRateLimit: EngagementRateLimit,
  ) {}

  @Get('vapid-key')
  @Public('The key is public: every subscription shows it to the push service.')
  @ApiOperation({ summary: 'Read the VAPID key of a pixel', description: 'The same key as GET /v1/push/vapid-key.' })
  @Returns(200, vapidKeySchema, "The environment's public VAPID key.")
  @Throws(PushEnvironmentNotFoundError, OriginNotAllowedError, RateLimitedError)
  async vapidKey(
    @Query({ schema: pixelQuerySchema }) query: z.infer<typeof pixelQuerySchema>,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<z.infer<typeof vapidKeySchema>> {
    await this.pushRateLimit.count(request.ip);
    const question = { publicKey: query.pixel_key, authorization: undefined, admitOrigin: originGate(request, reply) };
    return { public_key: (await this.vapidKeys.read(question)).toString('base64url') };
  }

  @Post('subscribe')
  @Public('The public key names the environment; whoever is named in the body is proven in the body.')
  @ApiOperation({
    summary: 'Subscribe a visitor',
    description:
      'With a proof the device is that person’s, as by POST /v1/push/subscriptions. Without one it is an anonymous subscriber’s of its own, and never takes a device from somebody.',
  })
  @Returns(201, deviceResourceSchema, 'Push messages reach the device from now on. The same subscription again is the same device.')
  @Throws(
    ...PROOF_REFUSALS,
    PushEnvironmentNotFoundError,
    PushSubscriptionUnprovenError,
    PushEndpointNotAllowedError,
    OriginNotAllowedError,
    RateLimitedError,
  )
  async subscribe(
    @Body({ schema: subscribeBodySchema }) body: SubscribeBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<z.infer<typeof deviceResourceSchema>> {
    await this.pushRateLimit.count(request.ip);
    const device = await this.subscribeVisitor.run({
      publicKey: body.pixel_key,
      subscription: body.subscription,
      proof: proofOf(body),
      address: request.ip,
      page: pageOriginOf(request),
      sdk: sdkOf(request),
      userAgent: request.headers['user-agent'],
      admitOrigin: originGate(request, reply),
    });
    return presentDevice(device);
  }

  @Post('unsubscribe')
  @HttpCode(HttpStatus.NO_CONTENT)
  @Public('The keys of the subscription are the proof: only its browser and Belfry know them.')
  @ApiOperation({ summary: 'Unsubscribe a visitor' })
  @Returns(204, null, 'Nothing more is sent to the device that is registered with these keys. Repeating it changes nothing.')
  @Throws(PushEnvironmentNotFoundError, OriginNotAllowedError, RateLimitedError)
  async unsubscribe(
    @Body({ schema: unsubscribeBodySchema }) body: UnsubscribeBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<void> {
    await this.pushRateLimit.count(request.ip);
    const { pixel_key: publicKey, subscription } = body;
    await this.unsubscribeVisitor.run({ publicKey, subscription, admitOrigin: originGate(request, reply) });
  }

  @Post('click')
  @HttpCode(HttpStatus.NO_CONTENT)
  @Public('The signed receipt in the body is the permission.')
  @JsonBodyAs('text/plain')
  @ApiConsumes('application/json', 'text/plain')
  @ApiOperation({
    summary: 'Report a click',
    description: 'Counts, once per message and person, and leads nowhere: the address of a message is in its payload.',
  })
  @Returns(204, null, 'The click is stored and counted soon.')
  @Throws(PixelEventRefusedError, PushEnvironmentNotFoundError, OriginNotAllowedError, RateLimitedError)
  async click(
    @Body({ schema: clickBodySchema }) { pixel_key: publicKey, receipt }: ClickBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<void> {
    await this.engagementRateLimit.countItems(request.ip, 1);
    await this.reportEngagement.run({ publicKey, receipt, kind: 'clicked', admitOrigin: originGate(request, reply) });
  }

  @Post('event')
  @HttpCode(HttpStatus.NO_CONTENT)
  @Public('The signed receipt in the body is the permission.')
  @JsonBodyAs('text/plain')
  @ApiConsumes('application/json', 'text/plain')
  @ApiOperation({ summary: 'Report what happened to a message', description: 'Counts, once per message, person and kind.' })
  @Returns(204, null, 'The event is stored and counted soon.')
  @Throws(PixelEventRefusedError, PushEnvironmentNotFoundError, OriginNotAllowedError, RateLimitedError)
  async event(
    @Body({ schema: eventBodySchema }) { pixel_key: publicKey, receipt, event: kind, occurred_at: at }: EventBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<void> {
    await this.engagementRateLimit.countItems(request.ip, 1);
    const occurred = at === undefined ? {} : { occurredAt: new Date(at) };
    await this.reportEngagement.run({ publicKey, receipt, kind, ...occurred, admitOrigin: originGate(request, reply) });
  }
}

function originGate(request: FastifyRequest, reply: FastifyReply): (environment: Environment) => void {
  return (environment) => admitOrigin(environment, request, reply);
}

/** Any part of a proof makes it a claim, which stands or falls as such: nobody becomes anonymous by a proof that is empty or broken. */
function proofOf({ subscriber_id: id, subscriber_hash: hash, timestamp, token }: SubscribeBody) {
  const isClaim = [id, hash, timestamp, token].some((part) => part !== undefined);
  return isClaim ? { kind: 'subscriber' as const, id, hash, timestamp, token } : undefined;
}
