import { Module } from '@nestjs/common';
import { Clock } from '#contracts';
import { DatabaseClock } from '#database';
import { ManageSegmentsController } from './manage-segments/manage-segments.controller.js';
import { PreviewSegmentController } from './preview-segment/preview-segment.controller.js';
import { SegmentStore } from './segment.store.js';

/** Segments for other contexts. Needs `DatabaseModule`. */
@Module({ providers: [SegmentStore], exports: [SegmentStore] })
export class SegmentsModule {}

/** The routes under /v1/segments, for the gateway. */
@Module({
  imports: [SegmentsModule],
  controllers: [PreviewSegmentController, ManageSegmentsController],
  providers: [{ provide: Clock, useExisting: DatabaseClock }],
})
export class SegmentsApiModule {}
