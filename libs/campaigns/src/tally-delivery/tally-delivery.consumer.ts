import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { campaignDeliverySettledV1, type CampaignDeliverySettled } from '#contracts';
import { ConsumeBatch, type ReceivedEvent } from '#event-log';
import { WideLogger } from '#telemetry';
import { TallyDelivery } from './tally-delivery.js';

/** Counts what the delivery stages report. One report stands for up to a chunk of people, so a batch of them is one short statement. */
@Controller()
export class TallyDeliveryConsumer {
  constructor(
    private readonly tallyDelivery: TallyDelivery,
    private readonly logger: WideLogger,
  ) {}

  @ConsumeBatch(campaignDeliverySettledV1, { group: 'segmenter.tally-delivery', concurrency: 2, batchRecordsMax: 100 })
  async handle(@Payload() events: readonly ReceivedEvent<CampaignDeliverySettled>[]): Promise<void> {
    const startedAt = performance.now();
    const { applied, repeated, closedRuns } = await this.tallyDelivery.tally(events.map(({ event }) => event));
    this.logger.info('campaign.deliveries.tallied', { applied, repeated, duration_ms: Math.round(performance.now() - startedAt) });
    for (const run of closedRuns) {
      this.logger.info('campaign.run.closed', { environment_id: run.environmentId, run_id: run.id, state: run.state, counts: run.counts });
    }
  }
}
