import { Module } from '@nestjs/common';
import { EngagementApiModule } from '#engagement';
import { ReceiptModule } from '#identity';
import { PushApiModule } from '#push';
import { SubscribersModule } from '#subscribers';
import { CoreNotifyController } from './core-notify.controller.js';
import { ReportEngagement } from './report-engagement.js';
import { SubscribeVisitor } from './subscribe-visitor.js';
import { UnsubscribeVisitor } from './unsubscribe-visitor.js';

/** The public endpoints of core-notify's pages and service workers. Needs `TenancyModule` and `IdentityApiModule`. */
@Module({
  imports: [PushApiModule, EngagementApiModule, SubscribersModule, ReceiptModule],
  controllers: [CoreNotifyController],
  providers: [SubscribeVisitor, UnsubscribeVisitor, ReportEngagement],
})
export class CoreNotifyModule {}
