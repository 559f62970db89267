import { z } from 'zod';
import { BATCH_RECIPIENTS_MAX } from '../limits.js';
import { defineTopic } from '../topic-contract.js';

/** New inbox rows were committed; gateways show them to the tabs that are connected to them. */
export const inboxMessageDeliveredSchema = z.object({
  environment_id: z.uuid(),
  message_key: z.uuid(),
  recipient_ids: z.array(z.uuid()).min(1).max(BATCH_RECIPIENTS_MAX),
});

export type InboxMessageDelivered = z.infer<typeof inboxMessageDeliveredSchema>;

export const inboxMessageDeliveredV1 = defineTopic<InboxMessageDelivered>({
  topic: 'inbox.message.delivered.v1',
  schema: inboxMessageDeliveredSchema,
  key: (event) => event.recipient_ids[0] ?? event.message_key,
  keyReason: 'a subscriber reads its rows from the table, so order between records does not matter: spread them',
  meaning: 'inbox: rows were written; each gateway streams them to its connected tabs',
  partitions: 4,
  retentionHours: 24,
  lane: 'urgent',
});
