import { z } from 'zod';
import { CHUNK_COUNT_MAX } from '../limits.js';
import { defineTopic } from '../topic-contract.js';

/** One chunk of a run was planned (or is to be tried again): find its recipients and request their deliveries. */
export const campaignChunkPlannedSchema = z.object({
  environment_id: z.uuid(),
  run_id: z.uuid(),
  chunk_no: z.int().min(0).max(CHUNK_COUNT_MAX),
});

export type CampaignChunkPlanned = z.infer<typeof campaignChunkPlannedSchema>;

export const campaignChunkPlannedV1 = defineTopic<CampaignChunkPlanned>({
  topic: 'campaign.chunk.planned.v1',
  schema: campaignChunkPlannedSchema,
  key: (event) => `${event.run_id}:${event.chunk_no}`,
  keyReason: 'chunks are independent: spread them over all partitions',
  meaning: 'campaigns: a chunk waits for fan-out',
  partitions: 12,
  retentionHours: 72,
  lane: 'bulk',
  startsTrace: true,
});
