import { Injectable } from '@nestjs/common';
import {
  Clock,
  ENGAGEMENT_KINDS,
  ENGAGEMENT_KINDS_BY_CHANNEL,
  engagementRecordedV1,
  type EngagementKind,
  type EngagementRecorded,
  timeOfUuid,
} from '#contracts';
import { Database } from '#database';
import { Outbox } from '#event-log';
import { type Receipt, ReceiptTokens } from '#identity';
import { ATTRIBUTE, countMetric } from '#telemetry';
import { EngagementAge } from '../engagement-age.js';

/** "With the message of this receipt I did that", as it came in. */
export interface EngagementClaim {
  readonly receipt: string;
  readonly kind: string;
  /** When, by the device's own clock; absent: now. */
  readonly occurredAt?: Date;
}

/**
 * Why a claim is refused:
 * - `receipt_invalid`: the receipt is forged, altered or of another installation.
 * - `receipt_expired`: the receipt is genuine, but its time or that of its message is over.
 * - `kind_unknown`: there is no such kind.
 * - `kind_not_of_channel`: this cannot happen on the channel of the receipt.
 */
export const ENGAGEMENT_REFUSALS = ['receipt_invalid', 'receipt_expired', 'kind_unknown', 'kind_not_of_channel'] as const;

export type EngagementRefusal = (typeof ENGAGEMENT_REFUSALS)[number];

/** Takes in what people did with their messages. A receipt is all the proof there is and all that is needed: nothing is looked up. */
@Injectable()
export class RecordEngagement {
  constructor(
    private readonly database: Database,
    private readonly receipts: ReceiptTokens,
    private readonly outbox: Outbox,
    private readonly age: EngagementAge,
    private readonly clock: Clock,
  ) {}

  /**
   * Hands the good claims on, durably; repeats are found later, where they are counted.
   *
   * @returns for each claim, in order, why it was refused; `undefined` for the good ones
   */
  async record(claims: readonly EngagementClaim[]): Promise<(EngagementRefusal | undefined)[]> {
    const verdicts = claims.map((claim) => this.judge(claim));
    const events = verdicts.filter((verdict) => typeof verdict !== 'string');
    if (events.length > 0) await this.database.transaction((tx) => this.outbox.append(engagementRecordedV1, events, tx));
    const refusals = verdicts.map((verdict) => (typeof verdict === 'string' ? verdict : undefined));
    for (const refusal of refusals) if (refusal !== undefined) countMetric('engagementRefused', 1, { [ATTRIBUTE.reason]: refusal });
    return refusals;
  }

  private judge({ receipt: token, kind, occurredAt }: EngagementClaim): EngagementRecorded | EngagementRefusal {
    const verification = this.receipts.verify(token);
    if (verification.verdict === 'forged') return 'receipt_invalid';
    if (verification.verdict === 'expired' || this.age.isOver(verification.receipt.messageKey)) return 'receipt_expired';
    if (!isKind(kind)) return 'kind_unknown';
    const { receipt } = verification;
    const possible: readonly EngagementKind[] = ENGAGEMENT_KINDS_BY_CHANNEL[receipt.channel];
    if (!possible.includes(kind)) return 'kind_not_of_channel';
    return toEvent(receipt, kind, clampOccurredAt(receipt.messageKey, occurredAt, this.clock.now()));
  }
}

/** Clocks of devices are wrong at times: nobody did anything with a message before it was triggered, or after now. */
export function clampOccurredAt(messageKey: string, claimed: Date | undefined, now: Date): Date {
  if (claimed === undefined) return now;
  const earliestMs = timeOfUuid(messageKey).getTime();
  return new Date(Math.min(Math.max(claimed.getTime(), earliestMs), now.getTime()));
}

function isKind(text: string): text is EngagementKind {
  return (ENGAGEMENT_KINDS as readonly string[]).includes(text);
}

function toEvent(receipt: Receipt, kind: EngagementKind, occurredAt: Date): EngagementRecorded {
  return {
    environment_id: receipt.environmentId,
    message_key: receipt.messageKey,
    subscriber_id: receipt.subscriberId,
    channel: receipt.channel,
    kind,
    occurred_at: occurredAt.toISOString(),
  };
}
