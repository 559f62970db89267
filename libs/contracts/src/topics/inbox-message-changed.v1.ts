import { z } from 'zod';
import { defineTopic } from '../topic-contract.js';

/** A subscriber changed the state of messages (seen, read, archived …) in one tab; the other tabs follow. */
export const inboxMessageChangedSchema = z.object({
  environment_id: z.uuid(),
  subscriber_id: z.uuid(),
  /** The changed message; absent when all were changed at once. */
  message_key: z.uuid().optional(),
});

export type InboxMessageChanged = z.infer<typeof inboxMessageChangedSchema>;

export const inboxMessageChangedV1 = defineTopic<InboxMessageChanged>({
  topic: 'inbox.message.changed.v1',
  schema: inboxMessageChangedSchema,
  key: (event) => event.subscriber_id,
  keyReason: 'the changes of one subscriber keep their order',
  meaning: 'inbox: a message state changed; each gateway tells the other tabs of that subscriber',
  partitions: 4,
  retentionHours: 24,
  lane: 'urgent',
});
