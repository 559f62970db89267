import { Module } from '@nestjs/common';
import { Clock } from '#contracts';
import { DatabaseClock } from '#database';
import { ContentModule } from '#content';
import { SegmentsModule } from '#segments';
import { SubscribersModule } from '#subscribers';
import { CampaignStore } from './campaign.store.js';
import { ChunkStore } from './chunk.store.js';
import { CloseRuns } from './close-runs.js';
import { ControlRunController } from './control-run/control-run.controller.js';
import { ControlRun } from './control-run/control-run.js';
import { CreateCampaignController } from './create-campaign/create-campaign.controller.js';
import { CreateCampaign } from './create-campaign/create-campaign.js';
import { DeliveryReportStore } from './delivery-report.store.js';
import { EmitRun } from './emit-run.js';
import { FanOutChunkConsumer } from './fan-out-chunk/fan-out-chunk.consumer.js';
import { FanOutChunk } from './fan-out-chunk/fan-out-chunk.js';
import { PlanRunConsumer } from './plan-run/plan-run.consumer.js';
import { PlanRun } from './plan-run/plan-run.js';
import { PreviewCampaignController } from './preview-campaign/preview-campaign.controller.js';
import { PreviewCampaign } from './preview-campaign/preview-campaign.js';
import { ReadCampaignsController } from './read-campaigns/read-campaigns.controller.js';
import { ReadCampaigns } from './read-campaigns/read-campaigns.js';
import { ReadRunsController } from './read-runs/read-runs.controller.js';
import { ReadRuns } from './read-runs/read-runs.js';
import { ReadStatisticsController } from './read-statistics/read-statistics.controller.js';
import { ReadStatistics } from './read-statistics/read-statistics.js';
import { ReadTimelineController } from './read-timeline/read-timeline.controller.js';
import { ReadTimeline } from './read-timeline/read-timeline.js';
import { ReconcileStore } from './reconcile.store.js';
import { ReconcileRuns } from './reconcile-runs/reconcile-runs.js';
import { Reconciler } from './reconcile-runs/reconciler.js';
import { ResolveAudience } from './resolve-audience.js';
import { RunFiguresStore } from './run-figures.store.js';
import { RunStore } from './run.store.js';
import { SendMessageController } from './send-message/send-message.controller.js';
import { SendMessage } from './send-message/send-message.js';
import { ShowRunFigures } from './show-figures/show-run-figures.js';
import { StatisticsStore } from './statistics.store.js';
import { RunProgressHub } from './stream-run/run-progress-hub.js';
import { StreamRunController } from './stream-run/stream-run.controller.js';
import { TallyDeliveryConsumer } from './tally-delivery/tally-delivery.consumer.js';
import { TallyDelivery } from './tally-delivery/tally-delivery.js';
import { TimelineStore } from './timeline.store.js';
import { StartRun } from './trigger-run/start-run.js';
import { TriggerRunController } from './trigger-run/trigger-run.controller.js';
import { TriggerRun } from './trigger-run/trigger-run.js';

/** What both roles need of runs. */
const RUN_PROVIDERS = [{ provide: Clock, useExisting: DatabaseClock }, RunStore, ChunkStore, EmitRun, CloseRuns];

/** The gateway's part: campaigns, triggers, runs and single messages over HTTP. */
@Module({
  imports: [ContentModule, SegmentsModule, SubscribersModule],
  controllers: [
    CreateCampaignController,
    ReadCampaignsController,
    PreviewCampaignController,
    TriggerRunController,
    ReadRunsController,
    ReadStatisticsController,
    StreamRunController,
    ControlRunController,
    SendMessageController,
    ReadTimelineController,
  ],
  providers: [
    ...RUN_PROVIDERS,
    CampaignStore,
    ResolveAudience,
    CreateCampaign,
    ReadCampaigns,
    PreviewCampaign,
    StartRun,
    TriggerRun,
    StatisticsStore,
    ReadRuns,
    ReadStatistics,
    RunProgressHub,
    ControlRun,
    SendMessage,
    TimelineStore,
    ReadTimeline,
  ],
})
export class CampaignsApiModule {}

/** The segmenter's part: planning, fan-out, counting, the reconciler and the figures of open runs. */
@Module({
  controllers: [PlanRunConsumer, FanOutChunkConsumer, TallyDeliveryConsumer],
  providers: [
    ...RUN_PROVIDERS,
    PlanRun,
    FanOutChunk,
    TallyDelivery,
    DeliveryReportStore,
    ReconcileStore,
    ReconcileRuns,
    Reconciler,
    RunFiguresStore,
    ShowRunFigures,
  ],
})
export class CampaignsSegmenterModule {}
