import { Injectable } from '@nestjs/common';
import { encodeMessageId, type ChunkDeliveryRequested } from '#contracts';
import { addSpan, ATTRIBUTE, DeliverySampler, isTracing } from '#telemetry';
import type { InboxFailureReason } from '../inbox.errors.js';

/** Whose message was written, and whose could not be. */
export interface TracedDeliveries {
  readonly inserted: readonly string[];
  readonly failures: ReadonlyMap<string, InboxFailureReason>;
}

/**
 * Spans of single deliveries below the span of their batch: of each one that failed, and of a campaign's those that the sampler chose. A
 * single message has a span of its own already.
 */
@Injectable()
export class TraceDeliveries {
  constructor(private readonly sampler: DeliverySampler) {}

  /** Call it once per batch, after the commit. */
  show(request: ChunkDeliveryRequested, { inserted, failures }: TracedDeliveries): void {
    if (!isTracing()) return;
    for (const [subscriberId, reason] of failures) showOne(request, encodeMessageId(request.message_key, subscriberId), reason);
    for (const subscriberId of inserted) {
      const messageId = encodeMessageId(request.message_key, subscriberId);
      if (this.sampler.covers(messageId)) showOne(request, messageId);
    }
  }
}

function showOne(request: ChunkDeliveryRequested, messageId: string, reason?: InboxFailureReason): void {
  addSpan('deliver inbox message', {
    ...(reason !== undefined && { failure: reason }),
    attributes: {
      [ATTRIBUTE.channel]: 'inbox',
      [ATTRIBUTE.environmentId]: request.environment_id,
      [ATTRIBUTE.messageId]: messageId,
      [ATTRIBUTE.outcome]: reason === undefined ? 'delivered' : 'failed',
      ...(reason !== undefined && { [ATTRIBUTE.reason]: reason }),
      [ATTRIBUTE.runId]: request.chunk.run_id,
    },
  });
}
