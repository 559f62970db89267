import { defineTopic } from '../topic-contract.js';
import { deliveryKey, deliveryRequestedSchema, type DeliveryRequested } from './delivery-requested.js';

export const pushDeliveryRequestedV1 = defineTopic<DeliveryRequested>({
  topic: 'push.delivery.requested.v1',
  schema: deliveryRequestedSchema,
  key: deliveryKey,
  keyReason: 'chunks are independent: spread them over all partitions; repeats of one chunk keep their order',
  meaning: 'campaigns: a chunk of a run is to be pushed to devices',
  partitions: 12,
  retentionHours: 72,
  lane: 'bulk',
});

/** The same request on its own lane: a single message never waits behind a campaign. */
export const pushDeliveryRequestedUrgentV1 = defineTopic<DeliveryRequested>({
  topic: 'push.delivery.requested.urgent.v1',
  schema: deliveryRequestedSchema,
  key: deliveryKey,
  keyReason: 'single messages are independent of each other',
  meaning: 'campaigns: a single message is to be pushed to one subscriber, now',
  partitions: 4,
  retentionHours: 72,
  lane: 'urgent',
});
