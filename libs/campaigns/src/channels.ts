import { z } from 'zod';
import {
  inboxDeliveryRequestedUrgentV1,
  inboxDeliveryRequestedV1,
  pushDeliveryRequestedUrgentV1,
  pushDeliveryRequestedV1,
  type DeliveryRequested,
  type TopicContract,
} from '#contracts';

/** Every channel that messages go to. */
export const CHANNELS = ['inbox', 'push'] as const;

export type Channel = (typeof CHANNELS)[number];

/** How a channel is asked to deliver. */
export interface ChannelTopics {
  /** Batches of a run. */
  readonly requested: TopicContract<DeliveryRequested>;
  /** Single messages; they never wait behind a run. */
  readonly requestedUrgent: TopicContract<DeliveryRequested>;
}

/** Where the requests of each channel go. */
export const CHANNEL_TOPICS: Readonly<Record<Channel, ChannelTopics>> = {
  inbox: { requested: inboxDeliveryRequestedV1, requestedUrgent: inboxDeliveryRequestedUrgentV1 },
  push: { requested: pushDeliveryRequestedV1, requestedUrgent: pushDeliveryRequestedUrgentV1 },
};

/** The channels of a campaign or message as the API takes them. */
export const channelsSchema = z
  .array(z.enum(CHANNELS))
  .min(1)
  .refine((channels) => new Set(channels).size === channels.length, { error: 'must not repeat a channel' })
  .default(['inbox'])
  .meta({ uniqueItems: true, description: 'Where the message goes' });
