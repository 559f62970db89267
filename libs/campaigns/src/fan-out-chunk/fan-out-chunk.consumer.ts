import { Controller } from '@nestjs/common';
import { Ctx, Payload } from '@nestjs/microservices';
import { campaignChunkPlannedV1, type CampaignChunkPlanned } from '#contracts';
import { ConsumeBatch, type BatchContext, type ReceivedEvent, withRecordTrace } from '#event-log';
import { ATTRIBUTE, WideLogger } from '#telemetry';
import { FanOutChunk, type FanOutResult } from './fan-out-chunk.js';

/** Fans out planned chunks, each in its own transaction: the failure of one undoes nothing of those before it. */
@Controller()
export class FanOutChunkConsumer {
  constructor(
    private readonly fanOutChunk: FanOutChunk,
    private readonly logger: WideLogger,
  ) {}

  @ConsumeBatch(campaignChunkPlannedV1, { group: 'segmenter.fan-out-chunk', concurrency: 4, batchRecordsMax: 20 })
  async handle(@Payload() events: readonly ReceivedEvent<CampaignChunkPlanned>[], @Ctx() context: BatchContext): Promise<void> {
    const startedAt = performance.now();
    const chunks: Record<FanOutResult['outcome'], number> = { dropped: 0, fanned_out: 0, repeated: 0, settled: 0 };
    let requested = 0;
    for (const received of events) {
      const fanOut = () => this.fanOutChunk.fanOut(received.event);
      const result = await withRecordTrace('campaign.chunk.fan_out', received, attributesOf(received.event), fanOut);
      chunks[result.outcome] += 1;
      requested += result.requested;
      await context.heartbeat();
    }
    this.logger.info('campaign.chunks.fanned_out', { ...chunks, requested, duration_ms: Math.round(performance.now() - startedAt) });
  }
}

function attributesOf(event: CampaignChunkPlanned) {
  return { [ATTRIBUTE.environmentId]: event.environment_id, [ATTRIBUTE.runId]: event.run_id, [ATTRIBUTE.chunkNo]: event.chunk_no };
}
