import { Injectable } from '@nestjs/common';
import { encodeMessageId, type EngagementRecorded } from '#contracts';
import type { ReceivedEvent } from '#event-log';
import { addSpan, ATTRIBUTE, contextFromTraceparent, DeliverySampler, isTracing, WideLogger } from '#telemetry';
import { EngagementStore } from '../engagement.store.js';

/**
 * Shows engagement in the trace of its message, so that one trace tells its whole way, from the API call to the click. The trace is the one
 * that was stored when the message was sent, found by the ids that the receipt proves; the call that reported the engagement has a trace of
 * its own and is linked. Nothing of a trace travels through browsers.
 */
@Injectable()
export class TraceEngagement {
  constructor(
    private readonly store: EngagementStore,
    private readonly sampler: DeliverySampler,
    private readonly log: WideLogger,
  ) {}

  /** Adds the spans of a batch that was counted. Never rejects: a span is worth no second count. */
  async show(events: readonly ReceivedEvent<EngagementRecorded>[]): Promise<void> {
    if (!isTracing()) return;
    try {
      const traces = await this.store.findTraces(events.map(({ event }) => this.questionOf(event)));
      for (const [index, received] of events.entries()) show(received, traces[index]);
    } catch (error) {
      this.log.warn('engagement.traces.missed', { events: events.length }, error);
    }
  }

  private questionOf(event: EngagementRecorded) {
    const { environment_id: environmentId, message_key: messageKey, subscriber_id: subscriberId } = event;
    return { environmentId, messageKey, subscriberId, ofCampaign: this.sampler.covers(encodeMessageId(messageKey, subscriberId)) };
  }
}

function show({ event, traceparent: reported }: ReceivedEvent<EngagementRecorded>, origin: string | undefined): void {
  if (origin === undefined) return;
  addSpan(`engagement ${event.kind}`, {
    parent: contextFromTraceparent(origin),
    links: [reported],
    attributes: {
      [ATTRIBUTE.channel]: event.channel,
      [ATTRIBUTE.kind]: event.kind,
      [ATTRIBUTE.environmentId]: event.environment_id,
      [ATTRIBUTE.messageId]: encodeMessageId(event.message_key, event.subscriber_id),
    },
  });
}
