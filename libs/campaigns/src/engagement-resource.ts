import { z } from 'zod';
import { ENGAGEMENT_KINDS, ENGAGEMENT_KINDS_BY_CHANNEL } from '#contracts';
import { CHANNELS, type Channel } from './channels.js';
import type { EngagementCounts } from './statistics.store.js';

/** Engagement as the API shows it. */
export const engagementResourceSchema = z
  .partialRecord(z.enum(CHANNELS), z.partialRecord(z.enum(ENGAGEMENT_KINDS), z.int().min(0)))
  .describe('Subscribers by what they did with the message, each once per run, channel and kind; rises after the end of a run, too');

export type EngagementResource = z.infer<typeof engagementResourceSchema>;

/** Shows engagement on the given channels, with each kind that is possible there; 0 where nobody did it. */
export function presentEngagement(channels: readonly Channel[], counts: EngagementCounts): EngagementResource {
  return Object.fromEntries(
    channels.map((channel) => {
      const kinds = ENGAGEMENT_KINDS_BY_CHANNEL[channel].map((kind) => [kind, counts[channel]?.[kind] ?? 0]);
      return [channel, Object.fromEntries(kinds)];
    }),
  );
}
