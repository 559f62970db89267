import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { Clock, encodeMessageId, newUuid } from '#contracts';
import { contentSchema, ContentStore, pickContent, renderContent } from '#content';
import { Database, type Transaction } from '#database';
import { Outbox } from '#event-log';
import { hashRequest, Idempotency } from '#http';
import { currentTraceparent } from '#telemetry';
import { externalIdSchema, SubscriberNotFoundError } from '#subscribers';
import { CampaignStore } from '../campaign.store.js';
import { CHANNEL_TOPICS, channelsSchema } from '../channels.js';
import { expiresAfter, TTL_SECONDS_DEFAULT, ttlSecondsSchema } from '../ttl.js';

/** Body of `POST /v1/messages`. */
export const sendMessageSchema = z
  .strictObject({
    subscriber_id: externalIdSchema,
    channels: channelsSchema,
    ...contentSchema.shape,
    ttl_seconds: ttlSecondsSchema.default(TTL_SECONDS_DEFAULT),
  })
  .meta({ id: 'SendMessage' });

export type SendMessageInput = z.infer<typeof sendMessageSchema>;

/** A message that was accepted. */
export const acceptedMessageSchema = z.object({ id: z.string() }).meta({ id: 'AcceptedMessage' });

export type AcceptedMessage = z.infer<typeof acceptedMessageSchema>;

/**
 * Sends one message to one subscriber on the urgent lane, where it never waits behind a campaign. Three statements besides
 * idempotency: content, recipient with message, outbox. The application addresses a person on purpose (a password reset), so
 * subscribers who unsubscribed from campaigns get it too.
 */
@Injectable()
export class SendMessage {
  constructor(
    private readonly database: Database,
    private readonly campaigns: CampaignStore,
    private readonly contents: ContentStore,
    private readonly idempotency: Idempotency,
    private readonly outbox: Outbox,
    private readonly clock: Clock,
  ) {}

  /**
   * @throws SubscriberNotFoundError, ContentTemplateInvalidError, IdempotencyKeyReusedError, and
   * ContentRenderError when the content cannot be rendered for this subscriber
   */
  async send(environmentId: string, input: SendMessageInput, key: string | undefined): Promise<AcceptedMessage> {
    const call = { environmentId, route: 'POST /v1/messages', key, requestHash: hashRequest(input) };
    return this.database.transaction((tx) => this.idempotency.run(call, tx, () => this.accept(environmentId, input, tx)));
  }

  private async accept(environmentId: string, input: SendMessageInput, tx: Transaction): Promise<AcceptedMessage> {
    const createdAt = this.clock.now();
    const messageKey = newUuid(createdAt.getTime());
    const expiresAt = expiresAfter(createdAt, input.ttl_seconds);
    const fields = pickContent(input);
    const contentId = await this.contents.insert(environmentId, fields, tx);
    const message = {
      messageKey,
      externalId: input.subscriber_id,
      contentId,
      channels: input.channels,
      expiresAt,
      traceparent: currentTraceparent(),
      createdAt,
    };
    const recipient = await this.campaigns.insertSingleMessage(environmentId, message, tx);
    if (recipient === undefined) throw new SubscriberNotFoundError();
    renderContent({ id: contentId, fields, personalised: true }, recipient);
    const request = {
      environment_id: environmentId,
      message_key: messageKey,
      content_id: contentId,
      expires_at: expiresAt.toISOString(),
      recipient_ids: [recipient.subscriberId],
    };
    for (const channel of input.channels) await this.outbox.append(CHANNEL_TOPICS[channel].requestedUrgent, [request], tx);
    return { id: encodeMessageId(messageKey, recipient.subscriberId) };
  }
}
