import { Injectable } from '@nestjs/common';
import { encodeId, encodeMessageId } from '#contracts';
import { Database, type Transaction } from '#database';
import { DeadLetterStore } from '#event-log';
import { MessageNotFoundError } from '../campaigns.errors.js';
import { type ChannelPart, type MessageName, type MessageOrigin, TimelineStore } from '../timeline.store.js';
import { traceIdOf } from '../trace-id.js';
import { buildHops } from './build-hops.js';
import type { TimelineResource } from './timeline-resource.js';

/** Follows one message through everything that is written down about it. */
@Injectable()
export class ReadTimeline {
  constructor(
    private readonly database: Database,
    private readonly timeline: TimelineStore,
    private readonly deadLetters: DeadLetterStore,
  ) {}

  /** All hops are of one instant. @throws MessageNotFoundError also for somebody whom the run did not address */
  async read(environmentId: string, name: MessageName): Promise<TimelineResource> {
    return this.database.transaction(
      async (tx) => {
        const origin = await this.timeline.findOrigin(environmentId, name, tx);
        if (origin === undefined) throw new MessageNotFoundError();
        const channels = origin.runId === null ? [] : await this.timeline.readChannels(environmentId, origin.runId, name.subscriberId, tx);
        if (origin.runId !== null && channels.length === 0) throw new MessageNotFoundError();
        return this.present(environmentId, name, { origin, channels }, tx);
      },
      { isolation: 'REPEATABLE READ' },
    );
  }

  private async present(
    environmentId: string,
    name: MessageName,
    { origin, channels }: { origin: MessageOrigin; channels: readonly ChannelPart[] },
    tx: Transaction,
  ): Promise<TimelineResource> {
    const hops = buildHops({
      origin,
      channels,
      inboxDeliveredAt: await this.timeline.findInboxDelivery(environmentId, name, tx),
      devices: await this.timeline.readDevices(environmentId, name, tx),
      unreached: await this.timeline.findUnreached(environmentId, name, tx),
      receipts: await this.timeline.readReceipts(environmentId, name, tx),
      deadLetters: await this.deadLetters.listByKeys(environmentId, keysOf(name, origin, channels), tx),
    });
    return {
      id: encodeMessageId(name.messageKey, name.subscriberId),
      subscriber_id: origin.externalId,
      campaign_id: origin.campaignId === null ? null : encodeId('campaign', origin.campaignId),
      run_id: origin.runId === null ? null : encodeId('run', origin.runId),
      trace_id: traceIdOf(origin.traceparent),
      channels: [...origin.channels],
      expires_at: origin.expiresAt.toISOString(),
      hops,
    };
  }
}

/** Keys of the records that are about the message, or about its chunk and all people in it. */
function keysOf({ messageKey }: MessageName, { runId }: MessageOrigin, channels: readonly ChannelPart[]): string[] {
  return runId === null ? [messageKey] : [...new Set(channels.map(({ chunkNo }) => `${runId}:${chunkNo}`))];
}
