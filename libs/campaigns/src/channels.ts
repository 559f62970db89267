import { z } from 'zod';
import { inboxDeliveryRequestedUrgentV1, inboxDeliveryRequestedV1, type DeliveryRequested, type TopicContract } from '#contracts';
import { ChannelNotDeliverableError } from './campaigns.errors.js';

/** Every channel that the topics and tables know. */
export const CHANNELS = ['inbox', 'push'] as const;

export type Channel = (typeof CHANNELS)[number];

/** How a channel is asked to deliver. */
export interface DeliverableChannel {
  /** Batches of a run. */
  readonly requested: TopicContract<DeliveryRequested>;
  /** Single messages; they never wait behind a run. */
  readonly requestedUrgent: TopicContract<DeliveryRequested>;
}

/** The channels that this build delivers. A channel that is missing here is refused with `channel_not_deliverable`. */
export const DELIVERABLE_CHANNELS: Readonly<Partial<Record<Channel, DeliverableChannel>>> = {
  inbox: { requested: inboxDeliveryRequestedV1, requestedUrgent: inboxDeliveryRequestedUrgentV1 },
};

/** The channels of a campaign or message as the API takes them. */
export const channelsSchema = z
  .array(z.enum(CHANNELS))
  .min(1)
  .refine((channels) => new Set(channels).size === channels.length, { error: 'must not repeat a channel' })
  .default(['inbox'])
  .describe('Where the message goes');

/** @throws ChannelNotDeliverableError when this version does not deliver one of the channels */
export function assertDeliverable(channels: readonly Channel[]): void {
  const refused = channels
    .map((channel, index) => ({ channel, index }))
    .filter(({ channel }) => DELIVERABLE_CHANNELS[channel] === undefined);
  if (refused.length > 0) throw new ChannelNotDeliverableError(refused, Object.keys(DELIVERABLE_CHANNELS));
}
