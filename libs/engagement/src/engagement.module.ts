import { Module } from '@nestjs/common';
import { Clock } from '#contracts';
import { DatabaseClock } from '#database';
import { ContentModule } from '#content';
import { ReceiptModule } from '#identity';
import { SubscribersModule } from '#subscribers';
import { EngagementAge } from './engagement-age.js';
import { EngagementRateLimit } from './engagement-rate-limit.js';
import { EngagementStore } from './engagement.store.js';
import { FollowLinkController } from './follow-link/follow-link.controller.js';
import { FollowLink } from './follow-link/follow-link.js';
import { RecordEngagementController } from './record-engagement/record-engagement.controller.js';
import { RecordEngagement } from './record-engagement/record-engagement.js';
import { TallyEngagementConsumer } from './tally-engagement/tally-engagement.consumer.js';
import { TallyEngagement } from './tally-engagement/tally-engagement.js';
import { TraceEngagement } from './tally-engagement/trace-engagement.js';

const CLOCK = { provide: Clock, useExisting: DatabaseClock };

/** The gateway's part: receipts come in, links lead on. */
@Module({
  imports: [ContentModule, SubscribersModule, ReceiptModule],
  controllers: [RecordEngagementController, FollowLinkController],
  providers: [CLOCK, EngagementAge, EngagementRateLimit, RecordEngagement, FollowLink],
  exports: [EngagementRateLimit, RecordEngagement],
})
export class EngagementApiModule {}

/** The part of the delivery apps: writes and counts engagement. */
@Module({
  controllers: [TallyEngagementConsumer],
  providers: [CLOCK, EngagementAge, EngagementStore, TallyEngagement, TraceEngagement],
})
export class EngagementTallyModule {}
