import { Injectable } from '@nestjs/common';
import { ContentStore, type Content } from '#content';
import { encodeMessageId } from '#contracts';
import { ReceiptTokens } from '#identity';
import { WideLogger } from '#telemetry';
import { z } from 'zod';
import type { MessageRow } from './message.store.js';

const instant = z.iso.datetime();

/** A message as its subscriber sees it, in pages, answers and streams. */
export const inboxMessageSchema = z
  .object({
    id: z.string().meta({ description: 'Public id, `msg_…`.' }),
    title: z.string(),
    body: z.string().nullable(),
    url: z.string().nullable().meta({ description: 'Where a click leads.' }),
    icon: z.string().nullable(),
    image: z.string().nullable(),
    actions: z.array(z.object({ id: z.string(), title: z.string(), url: z.string().nullable() })),
    data: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
    delivered_at: instant,
    expires_at: instant.meta({ description: 'From then on the message is neither listed nor counted.' }),
    seen_at: instant.nullable().meta({ description: 'When the message first came into view.' }),
    read_at: instant.nullable(),
    archived_at: instant.nullable(),
    receipt: z.string().meta({ description: 'Proves what happens to the message: POST /v1/engagement, GET /v1/c/{receipt}.' }),
  })
  .meta({ id: 'InboxMessage' });

export type InboxMessage = z.infer<typeof inboxMessageSchema>;

/** How many messages wait, shown beside a bell. */
export const unreadCountSchema = z
  .object({
    count: z.int().min(0).meta({ description: 'Unread messages that are neither archived nor expired.' }),
    capped: z.boolean().meta({ description: 'True when there are more than `count`: show "99+".' }),
  })
  .meta({ id: 'InboxUnreadCount' });

/** Joins rows with their contents. Most rows of a page or batch share few contents, and those are cached. */
@Injectable()
export class MessagePresenter {
  constructor(
    private readonly contents: ContentStore,
    private readonly receipts: ReceiptTokens,
    private readonly log: WideLogger,
  ) {}

  /**
   * The rows as messages, in the same order. A row whose content is gone is left out and reported: one broken row must not take the
   * whole inbox away from its owner.
   */
  async present<Row extends MessageRow>(environmentId: string, rows: readonly Row[]): Promise<{ row: Row; message: InboxMessage }[]> {
    const presented: { row: Row; message: InboxMessage }[] = [];
    for (const row of rows) {
      const content = await this.contents.find(environmentId, row.content_id);
      if (content === undefined) this.log.error('inbox.content.missed', { environment_id: environmentId, content_id: row.content_id });
      else presented.push({ row, message: toMessage(row, content, this.sign(environmentId, row)) });
    }
    return presented;
  }

  private sign(environmentId: string, row: MessageRow): string {
    const { message_key: messageKey, subscriber_id: subscriberId, content_id: contentId } = row;
    return this.receipts.sign({ environmentId, messageKey, subscriberId, contentId, channel: 'inbox' }, row.expires_at);
  }
}

/** One row with its content: what was rendered for this subscriber stands before what everybody gets. */
function toMessage(row: MessageRow, content: Content, receipt: string): InboxMessage {
  const fields = { ...content.fields, ...row.rendered };
  return {
    id: encodeMessageId(row.message_key, row.subscriber_id),
    title: fields.title,
    body: fields.body ?? null,
    url: fields.url ?? null,
    icon: fields.icon ?? null,
    image: fields.image ?? null,
    actions: (fields.actions ?? []).map((action) => ({ id: action.id, title: action.title, url: action.url ?? null })),
    data: fields.data ?? {},
    delivered_at: row.delivered_at.toISOString(),
    expires_at: row.expires_at.toISOString(),
    seen_at: row.seen_at?.toISOString() ?? null,
    read_at: row.read_at?.toISOString() ?? null,
    archived_at: row.archived_at?.toISOString() ?? null,
    receipt,
  };
}
