import { z } from 'zod';
import { defineTopic } from '../topic-contract.js';

/** What a person, or the person's device, did with a message. */
export const ENGAGEMENT_KINDS = [
  'delivered',
  'shown',
  'seen',
  'read',
  'clicked',
  'dismissed',
  'archived',
  'converted',
  'unsubscribed',
] as const;

export type EngagementKind = (typeof ENGAGEMENT_KINDS)[number];

/**
 * What can happen to a message on each channel. A device says that a push was delivered to it; the inbox writes its messages itself, so
 * nobody has to say so. Only the inbox knows messages that are seen, read and put away.
 */
export const ENGAGEMENT_KINDS_BY_CHANNEL = {
  inbox: ['shown', 'seen', 'read', 'clicked', 'dismissed', 'archived', 'converted', 'unsubscribed'],
  push: ['delivered', 'shown', 'clicked', 'dismissed', 'converted', 'unsubscribed'],
} as const satisfies Record<string, readonly EngagementKind[]>;

export type EngagementChannel = keyof typeof ENGAGEMENT_KINDS_BY_CHANNEL;

/** One proven engagement; repeats of the same message, subscriber, channel and kind count once. */
export const engagementRecordedSchema = z.object({
  environment_id: z.uuid(),
  message_key: z.uuid(),
  subscriber_id: z.uuid(),
  channel: z.enum(['inbox', 'push']),
  kind: z.enum(ENGAGEMENT_KINDS),
  occurred_at: z.iso.datetime({ precision: 3 }),
});

export type EngagementRecorded = z.infer<typeof engagementRecordedSchema>;

export const engagementRecordedV1 = defineTopic<EngagementRecorded>({
  topic: 'engagement.recorded.v1',
  schema: engagementRecordedSchema,
  key: (event) => event.subscriber_id,
  keyReason: 'what one subscriber did keeps its order',
  meaning: 'engagement: a verified receipt; inbox: a message was seen, read or archived',
  partitions: 12,
  retentionHours: 72,
  lane: 'bulk',
});
