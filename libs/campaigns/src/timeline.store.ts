import { Injectable } from '@nestjs/common';
import { Database, type Sql } from '#database';
import type { Channel } from './channels.js';

/** Names one message: what one run, or one call for a single message, sent to one subscriber. */
export interface MessageName {
  readonly messageKey: string;
  readonly subscriberId: string;
}

/** Where a message comes from: a run, or a call for this message alone (then what belongs to runs is `null`). */
export interface MessageOrigin {
  readonly runId: string | null;
  readonly campaignId: string | null;
  /** The customer's own id of the subscriber; `null` when the person was erased. */
  readonly externalId: string | null;
  readonly channels: readonly Channel[];
  readonly acceptedAt: Date;
  readonly plannedAt: Date | null;
  readonly expiresAt: Date;
  readonly traceparent: string | null;
}

/** What fan-out decided about the subscriber on one channel, and what the channel reported of the batch. */
export interface ChannelPart {
  readonly channel: Channel;
  readonly chunkNo: number;
  readonly fannedOutAt: Date;
  readonly isRequested: boolean;
  /** Why the subscriber was skipped; `null` when not skipped. */
  readonly skipReason: string | null;
  /** Why the channel failed the subscriber, from channels that keep no row of that. */
  readonly failReason: string | null;
  /** Recipients of the batch by fate. */
  readonly pending: number;
  readonly expired: number;
  readonly cancelled: number;
  readonly reportedAt: Date | null;
}

/** What push knows of the message on one device. */
export interface DevicePart {
  readonly deviceId: string;
  readonly vendor: string;
  readonly state: 'queued' | 'sending' | 'accepted' | 'gone' | 'failed' | 'expired' | 'cancelled';
  readonly reason: string | null;
  /** Class of the answer that ended it; `null` when none did. */
  readonly outcome: string | null;
  readonly httpStatus: number | null;
  /** Attempts after which it was queued again. */
  readonly earlierAttempts: readonly {
    readonly at: string;
    readonly outcome: string;
    readonly http_status: number | null;
    readonly reason: string;
  }[];
  readonly queuedAt: Date;
  readonly finishedAt: Date | null;
}

/** What push knows of a request that found no device of the subscriber. */
export interface UnreachedPart {
  readonly acceptedAt: Date;
  readonly reason: string;
}

/** Something that the subscriber's device reported. */
export interface ReceiptPart {
  readonly channel: Channel;
  readonly kind: string;
  readonly occurredAt: Date;
}

/** All SQL by which one message is followed; what other contexts know of it is read from the views that they publish. */
@Injectable()
export class TimelineStore {
  constructor(private readonly database: Database) {}

  /** The run or the single message; `undefined` when this environment has neither. */
  async findOrigin(
    environmentId: string,
    { messageKey, subscriberId }: MessageName,
    tx: Sql = this.database,
  ): Promise<MessageOrigin | undefined> {
    const [origin] = await tx.query<MessageOrigin>({
      name: 'campaigns.find-message-origin',
      text: `SELECT origin.*, person.external_id AS "externalId"
        FROM (
          SELECT id AS "runId", campaign_id AS "campaignId", channels, triggered_at AS "acceptedAt", planned_at AS "plannedAt",
            expires_at AS "expiresAt", traceparent
          FROM campaigns.run WHERE environment_id = $1 AND message_key = $2
          UNION ALL
          SELECT NULL, NULL, channels, created_at, NULL, expires_at, NULL
          FROM campaigns.single_message WHERE environment_id = $1 AND message_key = $2 AND subscriber_id = $3
        ) AS origin
        LEFT JOIN subscribers.audience AS person ON person.environment_id = $1 AND person.id = $3`,
      values: [environmentId, messageKey, subscriberId],
    });
    return origin;
  }

  /** The channels on which a run addressed the subscriber; none when it did not, or not yet. */
  async readChannels(environmentId: string, runId: string, subscriberId: string, tx: Sql = this.database): Promise<ChannelPart[]> {
    return tx.query<ChannelPart>({
      name: 'campaigns.read-message-channels',
      text: `SELECT * FROM (
          SELECT delivery.channel, chunk.chunk_no AS "chunkNo", chunk.fanned_out_at AS "fannedOutAt",
            $3::uuid = ANY (delivery.recipient_ids) AS "isRequested",
            (SELECT key FROM jsonb_each(delivery.skipped_recipients) WHERE value ? $3::text) AS "skipReason",
            (SELECT key FROM jsonb_each(delivery.failed_recipients) WHERE value ? $3::text) AS "failReason",
            delivery.pending, delivery.expired, delivery.cancelled, delivery.reported_at AS "reportedAt"
          FROM campaigns.chunk
          JOIN campaigns.chunk_delivery AS delivery USING (environment_id, run_id, chunk_no)
          WHERE chunk.environment_id = $1 AND chunk.run_id = $2 AND chunk.state = 'fanned_out'
            AND (chunk.lower_id IS NULL OR chunk.lower_id < $3) AND chunk.upper_id >= $3
        ) AS part
        WHERE "isRequested" OR "skipReason" IS NOT NULL ORDER BY channel`,
      values: [environmentId, runId, subscriberId],
    });
  }

  /** When the message was written to the subscriber's inbox. */
  async findInboxDelivery(environmentId: string, name: MessageName, tx: Sql = this.database): Promise<Date | undefined> {
    const [row] = await tx.query<{ deliveredAt: Date }>({
      name: 'campaigns.find-inbox-delivery',
      text: `SELECT delivered_at AS "deliveredAt" FROM inbox.message_delivery
        WHERE environment_id = $1 AND message_key = $2 AND subscriber_id = $3`,
      values: [environmentId, name.messageKey, name.subscriberId],
    });
    return row?.deliveredAt;
  }

  async readDevices(environmentId: string, name: MessageName, tx: Sql = this.database): Promise<DevicePart[]> {
    return tx.query<DevicePart>({
      name: 'campaigns.read-message-devices',
      text: `SELECT device_id AS "deviceId", vendor, state, reason, outcome, http_status AS "httpStatus",
          coalesce(earlier_attempts, '[]') AS "earlierAttempts", queued_at AS "queuedAt", finished_at AS "finishedAt"
        FROM push.message_delivery WHERE environment_id = $1 AND message_key = $2 AND subscriber_id = $3 ORDER BY device_id`,
      values: [environmentId, name.messageKey, name.subscriberId],
    });
  }

  /** Set when push was asked for the subscriber and found no device any more. */
  async findUnreached(environmentId: string, name: MessageName, tx: Sql = this.database): Promise<UnreachedPart | undefined> {
    const [row] = await tx.query<UnreachedPart>({
      name: 'campaigns.find-unreached-message',
      text: `SELECT batch.accepted_at AS "acceptedAt", reason.key AS reason
        FROM push.message_batch AS batch CROSS JOIN LATERAL jsonb_each(batch.unreachable_recipients) AS reason
        WHERE batch.environment_id = $1 AND batch.message_key = $2 AND reason.value ? $3::text`,
      values: [environmentId, name.messageKey, name.subscriberId],
    });
    return row;
  }

  async readReceipts(environmentId: string, name: MessageName, tx: Sql = this.database): Promise<ReceiptPart[]> {
    return tx.query<ReceiptPart>({
      name: 'campaigns.read-message-receipts',
      text: `SELECT channel, kind, occurred_at AS "occurredAt" FROM engagement.message_receipt
        WHERE environment_id = $1 AND message_key = $2 AND subscriber_id = $3 ORDER BY occurred_at, channel, kind`,
      values: [environmentId, name.messageKey, name.subscriberId],
    });
  }
}
