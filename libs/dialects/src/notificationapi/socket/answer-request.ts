import { Injectable } from '@nestjs/common';
import { VapidKeys } from '#push';
import type { AdmittedUser } from '../admit/admit-user.js';
import { UserNotifications } from '../notifications/user-notifications.js';
import { NotificationApiPreferenceNotFoundError } from '../notificationapi.errors.js';
import type { SocketRequest } from './socket-request.js';

/** A message to a client. */
export interface SocketMessage {
  readonly route: string;
  readonly payload: object;
}

/** Answers what clients ask on their WebSocket. */
@Injectable()
export class AnswerRequest {
  constructor(
    private readonly notifications: UserNotifications,
    private readonly vapidKeys: VapidKeys,
  ) {}

  /**
   * @returns `undefined` where a client expects no answer: what it changed comes to all its tabs by the live feed
   * @throws InboxMessageNotFoundError, NotificationApiPreferenceNotFoundError
   */
  async answer(user: AdmittedUser, request: SocketRequest): Promise<SocketMessage | undefined> {
    switch (request.route) {
      case 'environment/data':
        return { route: request.route, payload: await this.describeEnvironment(user.environmentId) };
      case 'inapp_web/unread_count':
        return { route: request.route, payload: { count: await this.notifications.countUnread(user) } };
      case 'inapp_web/notifications':
        return { route: request.route, payload: await this.listNotifications(user, request.payload) };
      case 'inapp_web/unread_clear':
        await this.notifications.clearUnread(user, request.payload?.notificationId);
        return undefined;
      case 'user_preferences/get_preferences':
        return { route: 'user_preferences/preferences', payload: { userPreferences: [] } };
      case 'user_preferences/patch_preferences':
        throw new NotificationApiPreferenceNotFoundError();
    }
  }

  private async listNotifications(user: AdmittedUser, page: { before?: Date | undefined; count: number }): Promise<object> {
    const { notifications } = await this.notifications.list(user, page);
    return { notifications };
  }

  /** The page asks for permission when it wants to: the client would ask in the middle of its list. */
  private async describeEnvironment(environmentId: string): Promise<object> {
    const { publicKey } = await this.vapidKeys.readLive(environmentId);
    return { logo: '', applicationServerKey: publicKey.toString('base64url'), askForWebPushPermission: false };
  }
}
