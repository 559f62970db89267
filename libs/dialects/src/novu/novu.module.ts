import { Module } from '@nestjs/common';
import { IdentityApiModule } from '#identity';
import { InboxApiModule } from '#inbox';
import { SubscribersModule } from '#subscribers';
import { ChangeNovuNotificationsController } from './notifications/change-notifications.controller.js';
import { NovuInbox } from './notifications/novu-inbox.js';
import { ReadNovuNotificationsController } from './notifications/read-notifications.controller.js';
import { NovuUnservedController } from './novu-unserved.controller.js';
import { KeepNovuProfile } from './open-session/novu-profile.js';
import { OpenNovuSessionController } from './open-session/open-novu-session.controller.js';
import { OpenNovuSession } from './open-session/open-novu-session.js';
import { ReadNovuPreferencesController } from './preferences/read-novu-preferences.controller.js';
import { ConnectNovuController } from './socket/connect-novu.controller.js';
import { ConnectNovu } from './socket/connect-novu.js';

/** The inbox as `@novu/js` and what is built on it call for it. */
@Module({
  imports: [IdentityApiModule, InboxApiModule, SubscribersModule],
  providers: [KeepNovuProfile, OpenNovuSession, NovuInbox, ConnectNovu],
  controllers: [
    OpenNovuSessionController,
    ReadNovuNotificationsController,
    ChangeNovuNotificationsController,
    ReadNovuPreferencesController,
    ConnectNovuController,
    NovuUnservedController,
  ],
})
export class NovuModule {}
