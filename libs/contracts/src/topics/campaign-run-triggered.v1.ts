import { z } from 'zod';
import { defineTopic } from '../topic-contract.js';

/** A run was triggered (or resumed before it was planned): its audience is to be cut into chunks. */
export const campaignRunTriggeredSchema = z.object({
  environment_id: z.uuid(),
  run_id: z.uuid(),
});

export type CampaignRunTriggered = z.infer<typeof campaignRunTriggeredSchema>;

export const campaignRunTriggeredV1 = defineTopic<CampaignRunTriggered>({
  topic: 'campaign.run.triggered.v1',
  schema: campaignRunTriggeredSchema,
  key: (event) => event.run_id,
  keyReason: 'the records of one run keep their order',
  meaning: 'campaigns: a run was triggered and is to be planned',
  partitions: 4,
  retentionHours: 72,
  lane: 'bulk',
});
