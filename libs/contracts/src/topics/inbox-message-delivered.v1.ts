import { z } from 'zod';
import { defineTopic } from '../topic-contract.js';

/**
 * New inbox rows were committed; gateways show them to the tabs that are connected to them. Whose rows is told by the first and the last
 * of their subscribers: a gateway reads the rows of those connected between them, and most are connected nowhere.
 */
export const inboxMessageDeliveredSchema = z.object({
  environment_id: z.uuid(),
  message_key: z.uuid(),
  first_recipient_id: z.uuid(),
  /** Not below the first one, in the order of Postgres: byte by byte. */
  last_recipient_id: z.uuid(),
});

export type InboxMessageDelivered = z.infer<typeof inboxMessageDeliveredSchema>;

export const inboxMessageDeliveredV1 = defineTopic<InboxMessageDelivered>({
  topic: 'inbox.message.delivered.v1',
  schema: inboxMessageDeliveredSchema,
  key: (event) => event.first_recipient_id,
  keyReason: 'a subscriber reads its rows from the table, so order between records does not matter: spread them',
  meaning:
    'inbox: rows were written; each gateway streams them to its connected tabs; those of a campaign go with its reports, on the bulk lane',
  partitions: 4,
  retentionHours: 24,
  lane: 'urgent',
});
