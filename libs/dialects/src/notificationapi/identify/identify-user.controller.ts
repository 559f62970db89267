import { Body, Controller, Get, Headers, Post, Req, Res } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { JsonBodyAs, Returns } from '#http';
import { PushEndpointNotAllowedError, PushSubscriptionUnprovenError } from '#push';
import { AttributesTooManyError, SubscriberInvalidError, SubscriberNotFoundError } from '#subscribers';
import { AdmitUser } from '../admit/admit-user.js';
import { readUserProof, ThrowsUserRefusals, USER_PATH, UserRoute } from '../admit/user-request.js';
import { NotificationApiUserMismatchError } from '../notificationapi.errors.js';
import { IdentifyUser } from './identify-user.js';
import { type NotificationApiUser, type UserBody, userBodySchema, userSchema } from './user-body.js';

/** The user itself, as NotificationAPI's clients identify it. */
@ApiTags('NotificationAPI dialect')
@UserRoute()
@Controller(USER_PATH)
export class IdentifyUserController {
  constructor(
    private readonly admitUser: AdmitUser,
    private readonly identifyUser: IdentifyUser,
  ) {}

  @Post()
  @JsonBodyAs('text/plain')
  @ApiOperation({
    summary: 'Identify a user',
    description: 'As notificationapi-js-client-sdk and @notificationapi/core do. Creates the subscriber when the proof is good.',
  })
  @Returns(200, userSchema, 'The user as it is kept.')
  @ThrowsUserRefusals(
    NotificationApiUserMismatchError,
    PushEndpointNotAllowedError,
    PushSubscriptionUnprovenError,
    SubscriberInvalidError,
    AttributesTooManyError,
  )
  async identify(
    @Body({ schema: userBodySchema }) body: UserBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
    @Headers('user-agent') userAgent: string | undefined,
  ): Promise<NotificationApiUser> {
    const proof = readUserProof(request);
    const user = await this.admitUser.judge({ ...proof, surface: 'identify' }, { request, reply });
    if ((body.webPushTokens ?? []).length > 0) await this.admitUser.judge({ ...proof, surface: 'push' }, { request, reply });
    return this.identifyUser.identify(user, body, userAgent);
  }

  @Get()
  @ApiOperation({ summary: 'Read a user' })
  @Returns(200, userSchema, 'The user as it is kept.')
  @ThrowsUserRefusals(SubscriberNotFoundError)
  async read(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<NotificationApiUser> {
    const user = await this.admitUser.run({ ...readUserProof(request), surface: 'identify' }, { request, reply });
    const found = await this.identifyUser.read(user);
    if (found === undefined) throw new SubscriberNotFoundError();
    return found;
  }
}
