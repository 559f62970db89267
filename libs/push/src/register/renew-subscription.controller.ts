import { Body, Controller, Post, Req, Res } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Public, Returns, textSchema, Throws } from '#http';
import { admitOrigin, BrowserFacing, OriginNotAllowedError, RateLimitedError } from '#identity';
import { z } from 'zod';
import { PushEndpointNotAllowedError, PushSubscriptionUnprovenError } from '../push.errors.js';
import { deviceResourceSchema, presentDevice, type DeviceResource } from './device-resource.js';
import { RenewRateLimit } from './renew-rate-limit.js';
import { RenewSubscription } from './renew-subscription.js';
import { pushSubscriptionSchema } from './subscription.js';

const PUBLIC_KEY_CHARACTERS_MAX = 255;

const renewSchema = z
  .strictObject({
    public_key: textSchema({ max: PUBLIC_KEY_CHARACTERS_MAX }).meta({ description: 'The public key `pk_…` of the environment.' }),
    old: pushSubscriptionSchema.meta({ description: 'The subscription that is registered: its keys are the proof.' }),
    new: pushSubscriptionSchema.meta({ description: 'The subscription that took its place.' }),
  })
  .meta({ id: 'RenewPushSubscription' });

/** For service workers, which have no session when a browser replaces a subscription. */
@ApiTags('push')
@Controller('v1/push/subscriptions/renew')
export class RenewSubscriptionController {
  constructor(
    private readonly renewSubscription: RenewSubscription,
    private readonly rateLimit: RenewRateLimit,
  ) {}

  @Post()
  @BrowserFacing()
  @Public('The authentication secret of the old subscription is the proof: only its browser and Belfry know it.')
  @ApiOperation({
    summary: 'Replace a subscription',
    description:
      'From the event `pushsubscriptionchange`: the same subscriber is reached by the new subscription from now on, and no longer by the old one.',
  })
  @Returns(201, deviceResourceSchema, 'The device of the new subscription.')
  @Throws(PushSubscriptionUnprovenError, PushEndpointNotAllowedError, OriginNotAllowedError, RateLimitedError)
  async handle(
    @Body({ schema: renewSchema }) body: z.output<typeof renewSchema>,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<DeviceResource> {
    await this.rateLimit.count(request.ip);
    const device = await this.renewSubscription.run({
      publicKey: body.public_key,
      old: body.old,
      renewed: body.new,
      userAgent: request.headers['user-agent'],
      admitOrigin: (environment) => admitOrigin(environment, request, reply),
    });
    return presentDevice(device);
  }
}
