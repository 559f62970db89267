import { z } from 'zod';
import { BATCH_RECIPIENTS_MAX, CHUNK_COUNT_MAX } from '../limits.js';
import { defineTopic } from '../topic-contract.js';

const count = z.int().min(0).max(BATCH_RECIPIENTS_MAX);

/** What became of one requested batch on one channel, as absolute counts: applying a report twice changes nothing. */
export const campaignDeliverySettledSchema = z.object({
  environment_id: z.uuid(),
  run_id: z.uuid(),
  chunk_no: z.int().min(0).max(CHUNK_COUNT_MAX),
  channel: z.enum(['inbox', 'push']),
  delivered: count,
  /** Failed recipients by reason code. */
  failed: z.record(z.string().max(64), count),
  /** Who they are, from channels that keep no row of them. */
  failed_recipients: z.record(z.string().max(64), z.array(z.uuid()).max(BATCH_RECIPIENTS_MAX)).optional(),
  expired: count,
  cancelled: count,
  /** Recipients whose outcome is still open; a later report closes them. 0 settles the batch. */
  pending: count,
});

export type CampaignDeliverySettled = z.infer<typeof campaignDeliverySettledSchema>;

export const campaignDeliverySettledV1 = defineTopic<CampaignDeliverySettled>({
  topic: 'campaign.delivery.settled.v1',
  schema: campaignDeliverySettledSchema,
  key: (event) => `${event.run_id}:${event.chunk_no}`,
  keyReason: 'the reports of one chunk keep their order',
  meaning: 'inbox, push: the counts of one batch of a run',
  partitions: 4,
  retentionHours: 72,
  lane: 'bulk',
});
