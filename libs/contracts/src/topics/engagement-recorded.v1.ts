import { z } from 'zod';
import { defineTopic } from '../topic-contract.js';

/** What a person did with a message. */
export const ENGAGEMENT_KINDS = ['delivered', 'shown', 'seen', 'read', 'clicked', 'dismissed', 'archived', 'converted', 'unsubscribed'] as const;

export type EngagementKind = (typeof ENGAGEMENT_KINDS)[number];

/** One verified engagement; a repeat of the same message, subscriber, channel and kind counts once. */
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
  meaning: 'gateway, inbox: a verified receipt or a change of an inbox message',
  partitions: 12,
  retentionHours: 72,
  lane: 'bulk',
});
