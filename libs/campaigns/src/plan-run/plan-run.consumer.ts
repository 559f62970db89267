import { Controller } from '@nestjs/common';
import { Ctx, Payload } from '@nestjs/microservices';
import { campaignRunTriggeredV1, type CampaignRunTriggered } from '#contracts';
import { ConsumeBatch, type BatchContext, type ReceivedEvent } from '#event-log';
import { WideLogger } from '#telemetry';
import { PlanRun } from './plan-run.js';

/** Plans triggered runs. Each is a long read: few at a time, a heartbeat after each. */
@Controller()
export class PlanRunConsumer {
  constructor(
    private readonly planRun: PlanRun,
    private readonly logger: WideLogger,
  ) {}

  @ConsumeBatch(campaignRunTriggeredV1, { group: 'segmenter.plan-run', concurrency: 2, batchRecordsMax: 10 })
  async handle(@Payload() events: readonly ReceivedEvent<CampaignRunTriggered>[], @Ctx() context: BatchContext): Promise<void> {
    for (const { event } of events) {
      const startedAt = performance.now();
      const outcome = await this.planRun.plan({ environmentId: event.environment_id, runId: event.run_id });
      const duration = Math.round(performance.now() - startedAt);
      this.logger.info('campaign.run.planned', {
        environment_id: event.environment_id,
        run_id: event.run_id,
        ...outcome,
        duration_ms: duration,
      });
      await context.heartbeat();
    }
  }
}
