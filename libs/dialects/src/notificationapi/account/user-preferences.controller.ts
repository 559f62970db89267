import { Controller, Get, Req, Res } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Returns } from '#http';
import { z } from 'zod';
import { AdmitUser } from '../admit/admit-user.js';
import { readUserProof, ThrowsUserRefusals, USER_PATH, UserRoute } from '../admit/user-request.js';

const nothing = z.array(z.never()).max(0);

const preferencesSchema = z
  .object({ preferences: nothing, notifications: nothing, subNotifications: nothing })
  .meta({ id: 'NotificationApiPreferences', description: 'An environment has no notifications that users configure one by one.' });

/** The preferences of a user. Environments have none that are set per notification, so there is a list of none and nothing to change. */
@ApiTags('NotificationAPI dialect')
@UserRoute()
@Controller(`${USER_PATH}/preferences`)
export class UserPreferencesController {
  constructor(private readonly admitUser: AdmitUser) {}

  @Get()
  @ApiOperation({ summary: 'Read the preferences of a user' })
  @Returns(200, preferencesSchema, 'What the user can configure: nothing, notification by notification.')
  @ThrowsUserRefusals()
  async read(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<z.infer<typeof preferencesSchema>> {
    await this.admitUser.run({ ...readUserProof(request), surface: 'preferences' }, { request, reply });
    return { preferences: [], notifications: [], subNotifications: [] };
  }
}
