import { Module } from '@nestjs/common';
import { Clock } from '#contracts';
import { DatabaseClock } from '#database';
import { EngagementApiModule } from '#engagement';
import { InboxApiModule } from '#inbox';
import { PushApiModule } from '#push';
import { SubscribersModule } from '#subscribers';
import { AccountMetadataController } from './account/account-metadata.controller.js';
import { UserPreferencesController } from './account/user-preferences.controller.js';
import { AdmitUser } from './admit/admit-user.js';
import { IdentifyUserController } from './identify/identify-user.controller.js';
import { IdentifyUser } from './identify/identify-user.js';
import { UserNotificationsController } from './notifications/user-notifications.controller.js';
import { UserNotifications } from './notifications/user-notifications.js';
import { AnswerRequest } from './socket/answer-request.js';
import { ConnectUserController } from './socket/connect-user.controller.js';
import { ConnectUser } from './socket/connect-user.js';
import { RequestPace } from './socket/request-pace.js';

/** NotificationAPI: `notificationapi-js-client-sdk` and `@notificationapi/core`, with secure mode. */
@Module({
  imports: [EngagementApiModule, InboxApiModule, PushApiModule, SubscribersModule],
  controllers: [
    IdentifyUserController,
    UserNotificationsController,
    UserPreferencesController,
    AccountMetadataController,
    ConnectUserController,
  ],
  providers: [
    { provide: Clock, useExisting: DatabaseClock },
    AdmitUser,
    IdentifyUser,
    UserNotifications,
    AnswerRequest,
    ConnectUser,
    RequestPace,
  ],
})
export class NotificationApiModule {}
