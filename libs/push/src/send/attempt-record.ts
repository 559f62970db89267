import { encodeMessageId } from '#contracts';
import { addSpan, ATTRIBUTE, contextFromTraceparent, countMetric, type DeliverySampler, recordMetric, SpanKind } from '#telemetry';
import type { PushOutcome } from '../deliver/classify-push-response.js';
import type { ClaimedDelivery, LaneKey } from '../delivery.store.js';

const MS_PER_SECOND = 1_000;

/** One message that was handed to a push service. */
export interface PushAttempt {
  readonly delivery: ClaimedDelivery;
  readonly outcome: PushOutcome;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  /** Below which span it belongs, as a traceparent text. */
  readonly hop: string | undefined;
}

/**
 * The figures and spans of attempts. Every attempt counts; a span of its own gets each one that was not accepted, each one of a single
 * message, and of a campaign's those of the messages that the sampler chose. Never an endpoint.
 */
export class AttemptRecord {
  constructor(
    private readonly key: LaneKey,
    private readonly sampler: DeliverySampler,
  ) {}

  /** The delivery was claimed: it waited until now. */
  claimed(delivery: ClaimedDelivery, nowMs: number): void {
    if (delivery.attempts > 1) return;
    const labels = { [ATTRIBUTE.vendor]: this.key.vendor, [ATTRIBUTE.lane]: this.key.lane };
    recordMetric('pushQueueDuration', Math.max(0, nowMs - delivery.createdAt.getTime()) / MS_PER_SECOND, labels);
  }

  ended(attempt: PushAttempt): void {
    const { delivery, outcome, startedAtMs, endedAtMs } = attempt;
    const labels = { [ATTRIBUTE.vendor]: this.key.vendor, [ATTRIBUTE.outcome]: outcome.kind };
    countMetric('pushAttempts', 1, labels);
    recordMetric('pushAttemptDuration', Math.max(0, endedAtMs - startedAtMs) / MS_PER_SECOND, labels);
    const messageId = encodeMessageId(delivery.messageKey, delivery.subscriberId);
    if (outcome.kind !== 'accepted' || delivery.runId === null || this.sampler.covers(messageId)) this.show(attempt, messageId);
  }

  private show({ delivery, outcome, startedAtMs, hop }: PushAttempt, messageId: string): void {
    const reason = 'reason' in outcome ? outcome.reason : undefined;
    addSpan('send push message', {
      kind: SpanKind.CLIENT,
      startedAt: startedAtMs,
      ...(hop !== undefined && { parent: contextFromTraceparent(hop) }),
      ...(outcome.kind !== 'accepted' && { failure: reason ?? outcome.kind }),
      attributes: {
        [ATTRIBUTE.channel]: 'push',
        [ATTRIBUTE.vendor]: this.key.vendor,
        [ATTRIBUTE.lane]: this.key.lane,
        [ATTRIBUTE.environmentId]: delivery.environmentId,
        [ATTRIBUTE.messageId]: messageId,
        [ATTRIBUTE.attempt]: delivery.attempts,
        [ATTRIBUTE.outcome]: outcome.kind,
        ...(reason !== undefined && { [ATTRIBUTE.reason]: reason }),
        ...(delivery.runId !== null && { [ATTRIBUTE.runId]: delivery.runId }),
      },
    });
  }
}
