import { campaignChunkPlannedV1 } from './topics/campaign-chunk-planned.v1.js';
import { campaignDeliverySettledV1 } from './topics/campaign-delivery-settled.v1.js';
import { campaignRunTriggeredV1 } from './topics/campaign-run-triggered.v1.js';
import { engagementRecordedV1 } from './topics/engagement-recorded.v1.js';
import { inboxDeliveryRequestedUrgentV1, inboxDeliveryRequestedV1 } from './topics/inbox-delivery-requested.v1.js';
import { inboxMessageChangedV1 } from './topics/inbox-message-changed.v1.js';
import { inboxMessageDeliveredV1 } from './topics/inbox-message-delivered.v1.js';
import { pushDeliveryRequestedUrgentV1, pushDeliveryRequestedV1 } from './topics/push-delivery-requested.v1.js';
import type { TopicContract } from './topic-contract.js';

/** Every topic of the pipeline, in the order in which a campaign passes them. Created and verified at start. */
export const TOPICS: readonly TopicContract<never>[] = [
  campaignRunTriggeredV1,
  campaignChunkPlannedV1,
  inboxDeliveryRequestedV1,
  inboxDeliveryRequestedUrgentV1,
  pushDeliveryRequestedV1,
  pushDeliveryRequestedUrgentV1,
  campaignDeliverySettledV1,
  inboxMessageDeliveredV1,
  inboxMessageChangedV1,
  engagementRecordedV1,
] as unknown as readonly TopicContract<never>[];
