import { Controller } from '@nestjs/common';
import { Ctx, Payload } from '@nestjs/microservices';
import { campaignRunTriggeredV1, type CampaignRunTriggered } from '#contracts';
import { ConsumeBatch, type BatchContext, type ReceivedEvent, withRecordSpan } from '#event-log';
import { ATTRIBUTE, WideLogger } from '#telemetry';
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
    for (const received of events) {
      await withRecordSpan('campaign.run.plan', received, attributesOf(received.event), () => this.planOne(received.event));
      await context.heartbeat();
    }
  }

  private async planOne(event: CampaignRunTriggered): Promise<void> {
    const startedAt = performance.now();
    const outcome = await this.planRun.plan({ environmentId: event.environment_id, runId: event.run_id });
    this.logger.info('campaign.run.planned', {
      environment_id: event.environment_id,
      run_id: event.run_id,
      ...outcome,
      duration_ms: Math.round(performance.now() - startedAt),
    });
  }
}

function attributesOf(event: CampaignRunTriggered) {
  return { [ATTRIBUTE.environmentId]: event.environment_id, [ATTRIBUTE.runId]: event.run_id };
}
