import { Injectable } from '@nestjs/common';
import { ContentRenderError, ContentStore, renderContent, type Content } from '#content';
import { ReceiptTokens } from '#identity';
import { SubscriberStore, type SubscriberProfile } from '#subscribers';
import { PAYLOAD_BYTES_MAX } from '../encrypt/encrypt-payload.js';
import type { ClaimedDelivery } from '../delivery.store.js';
import { buildPayload } from './build-payload.js';

/** Why a message cannot be made for a person; a reason code of the run's counts. */
export type PrepareFailure = 'content_missing' | 'content_render_failed' | 'subscriber_gone' | 'payload_too_large';

/** The plaintext for a delivery, or why there is none. */
export type PreparedMessage = Buffer | PrepareFailure;

/**
 * Makes the plaintexts of claimed deliveries. Each person's message is made once, however many devices it goes to; profiles are read
 * only for personalised content, in one statement per environment.
 */
@Injectable()
export class PrepareMessages {
  constructor(
    private readonly contents: ContentStore,
    private readonly subscribers: SubscriberStore,
    private readonly receipts: ReceiptTokens,
  ) {}

  /** The message of each delivery, in the same order. */
  async prepare(deliveries: readonly ClaimedDelivery[]): Promise<PreparedMessage[]> {
    const contents = await this.readContents(deliveries);
    const profiles = await this.readProfiles(deliveries.filter((delivery) => contents.get(delivery.contentId)?.personalised === true));
    const made = new Map<string, PreparedMessage>();
    return deliveries.map((delivery) => {
      const key = `${delivery.messageKey}:${delivery.subscriberId}`;
      const message = made.get(key) ?? this.make(delivery, contents.get(delivery.contentId), profiles.get(delivery.subscriberId));
      made.set(key, message);
      return message;
    });
  }

  private make(delivery: ClaimedDelivery, content: Content | undefined, profile: SubscriberProfile | undefined): PreparedMessage {
    if (content === undefined) return 'content_missing';
    if (content.personalised && profile === undefined) return 'subscriber_gone';
    try {
      const { environmentId, messageKey, subscriberId, contentId, expiresAt } = delivery;
      const payload = buildPayload({
        messageKey,
        subscriberId,
        fields: content.fields,
        rendered: profile === undefined ? undefined : renderContent(content, profile),
        locale: profile?.locale,
        receipt: this.receipts.sign({ environmentId, messageKey, subscriberId, contentId, channel: 'push' }, expiresAt),
      });
      return payload.length > PAYLOAD_BYTES_MAX ? 'payload_too_large' : payload;
    } catch (error) {
      if (error instanceof ContentRenderError) return 'content_render_failed';
      throw error;
    }
  }

  /** Contents by id; most claims have one, and it is cached. */
  private async readContents(deliveries: readonly ClaimedDelivery[]): Promise<Map<string, Content>> {
    const contents = new Map<string, Content>();
    const environments = new Map(deliveries.map((delivery) => [delivery.contentId, delivery.environmentId]));
    for (const [contentId, environmentId] of environments) {
      const content = await this.contents.find(environmentId, contentId);
      if (content !== undefined) contents.set(contentId, content);
    }
    return contents;
  }

  /** Profiles by subscriber id, which is unique over all environments. */
  private async readProfiles(deliveries: readonly ClaimedDelivery[]): Promise<Map<string, SubscriberProfile>> {
    const idsByEnvironment = new Map<string, Set<string>>();
    for (const { environmentId, subscriberId } of deliveries) {
      const ids = idsByEnvironment.get(environmentId) ?? new Set();
      idsByEnvironment.set(environmentId, ids.add(subscriberId));
    }
    const profiles = new Map<string, SubscriberProfile>();
    for (const [environmentId, ids] of idsByEnvironment) {
      for (const [id, profile] of await this.subscribers.readProfiles(environmentId, [...ids])) profiles.set(id, profile);
    }
    return profiles;
  }
}
