import { Injectable } from '@nestjs/common';
import { Database, type Sql } from '#database';
import type { Audience } from './audience.js';
import type { Channel } from './channels.js';

/** A message with its channels and audience; it goes out each time it is triggered. */
export interface Campaign {
  readonly id: string;
  readonly name: string;
  readonly channels: readonly Channel[];
  readonly contentId: string;
  readonly audience: Audience;
  readonly ttlSeconds: number;
  readonly createdAt: Date;
}

/** One message to one subscriber that was accepted for the urgent lane. */
export interface SingleMessage {
  readonly messageKey: string;
  /** The customer's own id of the subscriber. */
  readonly externalId: string;
  readonly contentId: string;
  readonly channels: readonly Channel[];
  readonly expiresAt: Date;
  readonly traceparent: string | undefined;
  readonly createdAt: Date;
}

/** Whom a single message goes to: the id and what templates may know. */
export interface MessageRecipient {
  readonly subscriberId: string;
  readonly externalId: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly locale: string | null;
  readonly timeZone: string | null;
}

const CAMPAIGN_COLUMNS = `id, name, channels, content_id AS "contentId", audience, ttl_seconds AS "ttlSeconds", created_at AS "createdAt"`;

/** All SQL over campaigns and single messages. */
@Injectable()
export class CampaignStore {
  constructor(private readonly database: Database) {}

  async insert(environmentId: string, campaign: Campaign, tx: Sql = this.database): Promise<void> {
    const { id, name, channels, contentId, audience, ttlSeconds, createdAt } = campaign;
    await tx.execute({
      text: `INSERT INTO campaigns.campaign (environment_id, id, name, channels, content_id, audience, ttl_seconds, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)`,
      values: [environmentId, id, name, channels, contentId, JSON.stringify(audience), ttlSeconds, createdAt],
    });
  }

  /** The campaign, or `undefined` when this environment has none of that id. */
  async find(environmentId: string, campaignId: string, tx: Sql = this.database): Promise<Campaign | undefined> {
    const [campaign] = await tx.query<Campaign>({
      name: 'campaigns.find-campaign',
      text: `SELECT ${CAMPAIGN_COLUMNS} FROM campaigns.campaign WHERE environment_id = $1 AND id = $2`,
      values: [environmentId, campaignId],
    });
    return campaign;
  }

  /** Campaigns newest first, those before the campaign `before`. */
  async list(environmentId: string, page: { limit: number; before?: string }, tx: Sql = this.database): Promise<Campaign[]> {
    return tx.query<Campaign>({
      text: `SELECT ${CAMPAIGN_COLUMNS} FROM campaigns.campaign
        WHERE environment_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3`,
      values: [environmentId, page.before ?? null, page.limit],
    });
  }

  /**
   * Finds the subscriber and stores the message in one statement, because each statement of a single message is paid per message.
   *
   * @returns the recipient, or `undefined` (and nothing stored) when this environment has no such subscriber
   */
  async insertSingleMessage(environmentId: string, message: SingleMessage, tx: Sql = this.database): Promise<MessageRecipient | undefined> {
    const { messageKey, externalId, contentId, channels, expiresAt, traceparent, createdAt } = message;
    const [recipient] = await tx.query<MessageRecipient>({
      name: 'campaigns.insert-single-message',
      text: `WITH recipient AS (
          SELECT id, external_id, attributes, locale, time_zone
          FROM subscribers.audience WHERE environment_id = $1 AND external_id = $2
        ), stored AS (
          INSERT INTO campaigns.single_message (environment_id, message_key, subscriber_id, content_id, channels, expires_at, created_at,
            traceparent)
          SELECT $1, $3, recipient.id, $4, $5, $6, $7, $8 FROM recipient
        )
        SELECT id AS "subscriberId", external_id AS "externalId", attributes, locale, time_zone AS "timeZone" FROM recipient`,
      values: [environmentId, externalId, messageKey, contentId, channels, expiresAt, createdAt, traceparent ?? null],
    });
    return recipient;
  }
}
